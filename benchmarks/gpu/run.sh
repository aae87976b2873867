#!/usr/bin/env bash
# Set up a GPU machine, also one without network, and work off config/vllm-gpu.yaml on it.
#
#   run.sh [options] PHASE...
#
# Phases, in this order; each can be repeated and does only what is left:
#   facts     print what the machine is
#   update    take over code that was changed since the first phase copied it
#   engine    unpack the bundle that pack.sh made; start Docker unless an engine answers
#   vllm      unpack vLLM (or download it, with --download), make the subject and the model
#   seed      let the release compile its kernels once; containers begin with a copy
#   images    build all images, with all cores, before anything is measured
#   prepare   vllm, then seed and images side by side
#   start     start the campaign; it goes on when this script has ended
#   wait      follow it for --seconds, or until it has ended
#   stop      end it as a person would (SIGTERM); the same `start` goes on where it stopped
#   kill      end it as a power cut would (SIGKILL)
#   collect   pack the results so far into --out
#
# Options:
#   --home DIR      where everything lies [/mnt/patchbench]; made a file system in memory if the machine
#                   has at least 64 GB
#   --in-memory     so in any case: some virtual machines get their memory when it is used
#   --bundles DIR   what pack.sh made [.patchbench/gpu-pack]
#   --config FILE   [config/vllm-gpu.yaml]
#   --set KEY=VALUE change one key of the configuration, as Snakemake's --config does
#   --target FILE   let start measure what this file needs and nothing else; may be repeated
#   --seconds N     for wait [60]
#   --out DIR       for collect [.]
#   --gpus N        GPU slots [1]
#   --download      take vLLM and the workflow's packages from a package index
#
# Without network: Python 3.12 with PyTorch 2.11, pandas, scipy and matplotlib as `python3`, root, and
# an NVIDIA driver of CUDA 13. With network: Docker, `make setup`, `run.sh --download ...`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
home=/mnt/patchbench
bundles=$checkout/.patchbench/gpu-pack
config=config/vllm-gpu.yaml
settings=()
targets=()
seconds=60
out=.
gpus=1
download=
in_memory=
VLLM=0.20.2
# A file system in memory spares the engine's disk; less memory than this is left to vLLM.
MEMORY_GB=64
TMPFS_SIZE=40g
ENGINE_SECONDS=30
STOP_SECONDS=60

fail() { echo "run: $*" >&2; exit 1; }
say() { echo "run: $(date -u +%T) $*"; }
usage() { sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//' >&2; exit 2; }

# --- where things are ---------------------------------------------------------------------------

unpack() { # ARCHIVE FOLDER
  if command -v xz >/dev/null; then tar -C "$2" -xJf "$1"; else python3 -m tarfile -e "$1" "$2"; fi
}
packed() { # of stdin
  if command -v xz >/dev/null; then xz -T0 -3; else
    python3 -c 'import lzma, shutil, sys; out = lzma.open(sys.stdout.buffer, "wb", preset=3); shutil.copyfileobj(sys.stdin.buffer, out); out.close()'
  fi
}

project() { echo "$home/project"; }
work() { echo "$home/project/.patchbench"; }
subject() { echo "$home/project/.patchbench/vllm-gpu"; }
configured() { # KEY: its value by --set, or by the configuration's file
  local setting
  for setting in ${settings[@]+"${settings[@]}"}; do
    if [[ $setting == "$1="* ]]; then echo "${setting#*=}" && return; fi
  done
  sed -n "s/^$1: *//p" "$(project)/$config" | head -1
}

make_home() {
  mkdir -p "$home"
  local memory
  memory=$(awk '/^MemTotal/ {print int($2 / 1048576)}' /proc/meminfo)
  [ -z "$in_memory" ] || memory=$MEMORY_GB
  if [ "$(id -u)" = 0 ] && [ "$memory" -ge "$MEMORY_GB" ] && ! mountpoint -q "$home"; then
    mount -t tmpfs -o "size=$TMPFS_SIZE,mode=755" patchbench "$home" || say "no file system in memory: $home stays on disk"
  fi
  mkdir -p "$home"/{tmp,bin,log}
  chmod 1777 "$home/tmp"
  if [ ! -d "$(project)" ]; then
    mkdir -p "$(work)"
    phase_update
    if [ -f "$bundles/engine/results.tar.xz" ]; then
      unpack "$bundles/engine/results.tar.xz" "$(project)"
      say "goes on from the results that came along"
    fi
  fi
}

phase_update() { # a copy, so that the code under a running campaign stays as it is
  tar -C "$checkout" --exclude=./.git --exclude=./.patchbench --exclude='./.venv*' \
    --exclude=./.snakemake --exclude='./.*_cache' --exclude=./.hypothesis --exclude=./results -cf - . |
    tar -C "$(project)" -xf -
}

environment() { # what every later command runs with
  local paths
  paths=$(project)/src
  export TMPDIR=$home/tmp PATH=$PATH:$home/bin PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
  if [ -d "$home/engine" ]; then
    paths+=:$home/engine/site
    python=python3
    export DOCKER_HOST=${DOCKER_HOST:-unix://$home/docker.sock}
  else
    python=$checkout/.venv/bin/python
    [ -x "$python" ] || python=python3
  fi
  export PYTHONPATH=$paths
}

as_nobody() { # whether containers may run as an ordinary user: see the GPU's nodes and the packages
  python3 - <<'PYTHON' 2>/dev/null
import glob, os, stat, sysconfig
packages = sysconfig.get_path("purelib")
os.setgroups([]), os.setgid(65534), os.setuid(65534)
os.listdir(packages)
for node in glob.glob("/dev/nvidia*"):
    if stat.S_ISCHR(os.stat(node).st_mode):
        os.close(os.open(node, os.O_RDWR))
PYTHON
}

engine_name() { echo "${DOCKER_HOST:-the usual socket}"; }
answers() { "$python" -c 'import docker; docker.from_env(timeout=3).ping()' >/dev/null 2>&1; }

in_background() { # NAME COMMAND...: in a session of its own, so that it outlives this script
  local name=$1
  shift
  setsid nohup "$@" >>"$home/log/$name.log" 2>&1 </dev/null &
  echo $! >"$home/log/$name.pid"
}

alive() { # NAME: runs, and is no zombie
  local pid
  pid=$(cat "$home/log/$1.pid" 2>/dev/null) && grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$pid/status"
}

snakemake_options() { # sets `options`: what the campaign is run with, on this machine
  if [ -d "$home/engine" ] && [[ ${settings[*]-} != *containers=* ]] && ! as_nobody; then
    say "containers run as root: an ordinary user can't use the GPU's nodes or the packages here"
    settings+=('containers={sandbox: {user: "0:0"}}')
  fi
  options=(--configfile "$config" --resources "gpu=$gpus" "$@")
  [ ${#settings[@]} -eq 0 ] || options+=(--config "${settings[@]}")
}

# --- phases -------------------------------------------------------------------------------------

phase_facts() {
  say "$(uname -r), $(nproc) cores, $(awk '/^MemTotal/ {print int($2 / 1048576)}' /proc/meminfo) GB memory"
  say "$(df -h / | tail -1)"
  nvidia-smi --query-gpu=index,name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader || true
  ls -l /dev/nvidia* || true
  python3 -c 'import sys; print("run:", sys.version.split()[0], sys.executable, sys._base_executable)'
  for tool in git docker dockerd gcc xz curl; do printf 'run: %s %s\n' "$tool" "$(command -v "$tool" || echo -)"; done
}

phase_engine() {
  local bundle=$bundles/engine/engine.tar.xz root=$home/engine/root began=$SECONDS
  if [ ! -d "$home/engine" ] && [ -f "$bundle" ]; then
    mkdir -p "$home/engine.part"
    unpack "$bundle" "$home/engine.part"
    mv "$home/engine.part" "$home/engine"
    environment
  fi
  if ! command -v git >/dev/null && [ -x "$root/usr/bin/git" ]; then
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' \
      "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/git" >"$home/bin/git"
    chmod 755 "$home/bin/git"
  fi
  git --version >/dev/null || fail "no git here, and none in $bundle"
  keep_gpu_awake
  [ ! -d "$home/engine" ] || bytecode bytecode-workflow "$home/engine/site" "$(project)/src"
  # Imports of PyTorch and transformers take 20 s from source alone, at every launch.
  bytecode bytecode "$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  if answers; then say "a Docker engine answers on $(engine_name)"; return; fi
  [ -x "$root/usr/sbin/dockerd" ] || fail "no Docker engine answers on $(engine_name), and none came along"
  # Containers have no network but their own loopback: no bridge, no rules of the firewall.
  in_background dockerd env \
    "PATH=$root/usr/sbin:$root/usr/bin:$PATH" \
    "LD_LIBRARY_PATH=$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu" \
    dockerd --host "$DOCKER_HOST" --data-root "$home/docker" --exec-root "$home/docker-run" \
    --pidfile "$home/docker.pid" --bridge=none --iptables=false --ip-forward=false --ip-masq=false \
    --userland-proxy=false
  while ! answers; do
    alive dockerd || fail "dockerd ended: $(tail -2 "$home/log/dockerd.log")"
    [ $((SECONDS - began)) -lt "$ENGINE_SECONDS" ] || fail "dockerd does not answer: $(tail -2 "$home/log/dockerd.log")"
    sleep 0.3
  done
  say "Docker answers on $(engine_name) after $((SECONDS - began)) s"
}

bytecode() { # NAME FOLDER...: a package installed without bytecode is compiled at every import
  local name=$1
  shift
  alive "$name" || in_background "$name" "$python" -m compileall -q -j 0 "$@"
}

await_bytecode() {
  while alive bytecode; do sleep 0.3; done
}

keep_gpu_awake() {
  # Without a client the driver shuts the GPU down, and each launch would wait for it. The log shows
  # clocks, power and temperature over the whole campaign.
  if command -v nvidia-smi >/dev/null && ! alive gpu; then
    in_background gpu nvidia-smi --loop=5 --format=csv,nounits \
      --query-gpu=timestamp,index,clocks.sm,clocks.mem,power.draw,temperature.gpu,memory.used,utilization.gpu,clocks_event_reasons.active
  fi
}

phase_vllm() {
  local began=$SECONDS folder
  folder=$(subject)
  mkdir -p "$folder/seed"
  if [ ! -d "$folder/site" ]; then
    if [ -n "$download" ]; then
      "$python" -m pip download --quiet --no-deps --dest "$folder/wheels" "vllm==$VLLM"
      "$python" -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])' \
        "$folder"/wheels/vllm-*.whl "$folder/site.part"
      mkdir -p "$folder/deps"
    else
      [ -f "$bundles/vllm/vllm.tar.xz" ] || fail "no bundle $bundles/vllm (pack.sh vllm, or --download)"
      rm -rf "$folder"/{site,deps}.part
      mkdir -p "$folder"/{site,deps}.part
      unpack "$bundles/vllm/deps.tar.xz" "$folder/deps.part" &
      unpack "$bundles/vllm/vllm.tar.xz" "$folder/site.part"
      wait $!
      mv "$folder/deps.part" "$folder/deps"
    fi
    mv "$folder/site.part" "$folder/site"
    say "vLLM $VLLM unpacked after $((SECONDS - began)) s"
  fi
  (cd "$(project)" && "$python" examples/vllm_gpu/make_subject.py --site "$folder/site" --out "$folder" &&
    python3 examples/vllm_gpu/make_model.py --out "$folder/model")
}

phase_seed() {
  local began=$SECONDS folder
  folder=$(subject)
  if [ -e "$folder/seed/.done" ]; then say "the seed of the caches is there"; return; fi
  if PYTHONPATH=$folder/site:$folder/deps TRITON_CACHE_DIR=$folder/seed/triton \
    VLLM_CACHE_ROOT=$folder/seed/vllm VLLM_NO_USAGE_STATS=1 OMP_NUM_THREADS=1 VLLM_HOST_IP=127.0.0.1 \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib64:${LD_LIBRARY_PATH:-} \
    python3 "$here/warm.py" --model "$folder/model" >"$home/log/warm.log" 2>&1; then
    # Triton writes down where its files lie: they will lie where a container copies the seed to.
    find "$folder/seed/triton" -name '__grp__*' -exec sed -i "s#$folder/seed/#/tmp/cache/#g" {} +
    chmod -R a+rX "$folder/seed"
    touch "$folder/seed/.done"
    say "$(grep "^warm:" "$home/log/warm.log"); seed: $(find "$folder/seed" -type f | wc -l) files after $((SECONDS - began)) s"
  else
    # Launches then compile for themselves: slower, not wrong.
    say "warm.py failed: $(tail -1 "$home/log/warm.log")"
  fi
}

phase_images() {
  local began=$SECONDS cores
  cores=$(nproc)
  snakemake_options "build=$(((cores + 1) / 2))" image_slots=9 --omit-from run_benchmark
  (cd "$(project)" && exec "$python" -m snakemake --cores "$cores" "${options[@]}") \
    >>"$home/log/images.log" 2>&1 ||
    say "not every image could be built: $(tail -1 "$home/log/images.log")"
  say "images after $((SECONDS - began)) s"
}

phase_prepare() {
  phase_vllm
  await_bytecode
  # The GPU compiles kernels while the other cores build images; nothing is measured yet.
  phase_seed &
  phase_images
  wait $!
}

phase_start() {
  if alive campaign; then say "the campaign runs already"; return; fi
  snakemake_options
  set -- --cores 4 ${targets[@]+"${targets[@]}"} "${options[@]}"
  say "the campaign starts: snakemake $*"
  (cd "$(project)" && in_background campaign "$python" -m snakemake "$@")
}

phase_wait() {
  local until=$((SECONDS + seconds)) progress shown=0 lines
  progress=$(project)/$(configured results)/progress.log
  [ ! -f "$progress" ] || shown=$(wc -l <"$progress")
  while alive campaign && [ $SECONDS -lt $until ]; do
    sleep 2
    lines=$({ wc -l <"$progress" || echo 0; } 2>/dev/null)
    if [ "$lines" -gt "$shown" ]; then
      tail -n "+$((shown + 1))" "$progress"
      shown=$lines
    fi
  done
  if alive campaign; then say "the campaign goes on"; else
    say "the campaign has ended: $(tail -1 "$home/log/campaign.log")"
  fi
}

end_campaign() { # SIGNAL
  local pid began=$SECONDS
  alive campaign || { say "no campaign runs"; return; }
  pid=$(cat "$home/log/campaign.pid")
  kill "-$1" -- "-$pid"
  while alive campaign; do
    [ $((SECONDS - began)) -lt "$STOP_SECONDS" ] || fail "process $pid does not end"
    sleep 0.2
  done
  say "the campaign ended on SIG$1 after $((SECONDS - began)) s"
}
phase_stop() { end_campaign TERM; }
phase_kill() { end_campaign KILL; }

phase_collect() {
  local results archive
  results=$(configured results)
  mkdir -p "$out"
  archive=$(cd "$out" && pwd)/results.tar.xz
  rm -rf "$(project)/$results/machine"
  cp -r "$home/log" "$(project)/$results/machine" || true
  # A campaign that goes on writes files while they are packed; each is whole or not there.
  tar -C "$(project)" --warning=no-file-changed --ignore-failed-read -cf - "$results" .snakemake/metadata 2>/dev/null |
    packed >"$archive.part" || true
  mv "$archive.part" "$archive"
  cp "$(project)/$results"/{report.md,progress.log} "$out/" 2>/dev/null || true
  say "$archive: $(du -k "$archive" | cut -f1) kB"
}

# --- the command line ---------------------------------------------------------------------------

phases=()
while [ $# -gt 0 ]; do
  case $1 in
    --home) home=$2; shift 2 ;;
    --bundles) bundles=$2; shift 2 ;;
    --config) config=$2; shift 2 ;;
    --set) settings+=("$2"); shift 2 ;;
    --target) targets+=("$2"); shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --gpus) gpus=$2; shift 2 ;;
    --download) download=yes; shift ;;
    --in-memory) in_memory=yes; shift ;;
    -*) usage ;;
    *) declare -F "phase_$1" >/dev/null || fail "no phase $1 (run.sh --help)"; phases+=("$1"); shift ;;
  esac
done
[ ${#phases[@]} -gt 0 ] || usage
make_home
environment
for phase in "${phases[@]}"; do "phase_$phase"; done
