#!/usr/bin/env bash
# Pack what a GPU machine without network needs, in two bundles of less than 50 MB each.
#
#   pack.sh [--out DIR] [--arch 90] [--python 3.12] [--results FILE] [engine] [vllm]
#
# engine  a Docker engine and git (Debian's packages), and the workflow's packages for the other
#         machine's Python; with --results also a campaign's results so far, to go on from
# vllm    vLLM 0.20.2 with machine code for one GPU architecture alone, and what it depends on
#
# Without a name both are made; one that is there is left alone. Needs Debian or Ubuntu on x86-64 with
# apt-get, dpkg and strip, pip with a package index, 3 GB of disk. What comes out fits benchmarks/gpu/run.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/.patchbench/gpu-pack
arch=90
python=3.12
results=
VLLM=0.20.2
# Commands of Docker's packages that nothing here calls, and files that only people read.
NOT_NEEDED=(usr/share usr/bin/docker usr/bin/dnet usr/bin/ctr usr/bin/containerd-stress
  usr/bin/containerd-shim usr/bin/containerd-shim-runc-v1 usr/sbin/ovrouter usr/sbin/docker-proxy)
# Nobody publishes a wheel of it; it holds nothing but Python.
NO_WHEEL=connection-pool

fail() { echo "pack: $*" >&2; exit 1; }
say() { echo "pack: $*"; }
quietly() { nice -n 19 "$@"; }

scratch() { # a folder that goes away with this script
  if [ -z "${scratch_folder:-}" ]; then
    scratch_folder=$(mktemp -d)
    trap 'rm -rf "$scratch_folder"' EXIT
  fi
  mkdir -p "$scratch_folder/$1"
}

compress() { # FOLDER ARCHIVE: holes stay holes, so that blanked code costs nothing to unpack
  quietly tar --sparse --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cf - . |
    quietly xz -T2 -6 >"$2.part"
  mv "$2.part" "$2"
  say "$2: $(du -m "$2" | cut -f1) MB"
}

download() { # FOLDER ARGUMENTS...: wheels for the other machine's Python
  local folder=$1 platforms=() version
  shift
  for version in 39 35 34 31 28 27 26 24 17 5; do
    platforms+=(--platform "manylinux_2_${version}_x86_64")
  done
  quietly python3 -m pip download --quiet --disable-pip-version-check --no-deps \
    --only-binary=:all: --implementation cp --python-version "$python" \
    --abi "cp${python/./}" --abi abi3 --abi none "${platforms[@]}" \
    --platform manylinux2014_x86_64 --platform manylinux1_x86_64 --platform any \
    --dest "$folder" "$@" 2>"$folder/pip.log" || fail "pip: $(grep -v WARNING "$folder/pip.log" | tail -1)"
}

unpack_wheels() { # WHEELS FOLDER
  quietly python3 - "$1" "$2" <<'PYTHON'
import pathlib, sys, zipfile
for wheel in sorted(pathlib.Path(sys.argv[1]).glob("*.whl")):
    zipfile.ZipFile(wheel).extractall(sys.argv[2])
PYTHON
}

locked() { # PATTERN: lines of requirements.lock for those packages of workflow-packages.txt
  python3 - "$root/requirements.lock" "$here/workflow-packages.txt" "$1" <<'PYTHON'
import re, sys
lock, names = (open(name, encoding="utf-8").read() for name in sys.argv[1:3])
wanted = {line for line in names.splitlines() if line and not line.startswith("#")}
blocks = {re.split(r"[=\[]", block)[0]: block for block in re.split(r"\n(?=\S)", lock)}
if missing := sorted(wanted - blocks.keys()):
    sys.exit(f"pack: requirements.lock has no {', '.join(missing)}")
print("\n".join(blocks[name] for name in sorted(wanted) if re.fullmatch(sys.argv[3], name)))
PYTHON
}

debian() { # FOLDER PACKAGE...: unpacked, not installed
  local folder=$1 deb
  shift
  scratch debs
  (cd "$scratch_folder/debs" && apt-get download -q "$@" >apt.log 2>&1) ||
    fail "apt-get download: $(tail -1 "$scratch_folder/debs/apt.log")"
  for deb in "$scratch_folder"/debs/*.deb; do dpkg -x "$deb" "$folder"; done
}

pack_engine() {
  local archive=$out/engine/engine.tar.xz folder
  mkdir -p "$out/engine"
  if [ -n "$results" ]; then
    [ -f "$results" ] || fail "--results: no file $results"
    cp "$results" "$out/engine/results.tar.xz"
  fi
  if [ -f "$archive" ]; then say "$archive is there"; return; fi
  scratch engine
  folder=$scratch_folder/engine
  debian "$folder/root" docker.io containerd runc tini libdevmapper1.02.1 git libpcre2-8-0
  (cd "$folder/root" && rm -rf "${NOT_NEEDED[@]}")
  # All of git that is used here is in one program.
  find "$folder/root/usr/lib/git-core" -mindepth 1 -delete
  find "$folder/root/usr/bin" \( -name 'git?*' -o -name scalar \) -delete
  # Docker asks for this name when a container wants an init process.
  ln -sf tini-static "$folder/root/usr/bin/docker-init"
  strip --strip-unneeded "$folder"/root/usr/{bin,sbin}/* 2>/dev/null || true

  scratch wheels
  locked "(?!$NO_WHEEL).*" >"$scratch_folder/wheels.lock"
  download "$scratch_folder/wheels" --require-hashes -r "$scratch_folder/wheels.lock"
  locked "$NO_WHEEL" >"$scratch_folder/sources.lock"
  quietly python3 -m pip wheel --quiet --disable-pip-version-check --no-deps --require-hashes \
    --wheel-dir "$scratch_folder/wheels" -r "$scratch_folder/sources.lock" 2>"$scratch_folder/pip.log" ||
    fail "pip wheel: $(tail -1 "$scratch_folder/pip.log")"
  unpack_wheels "$scratch_folder/wheels" "$folder/site"
  # Solvers that our scheduler does not ask.
  rm -rf "$folder/site/pulp/solverdir"
  find "$folder/site" -name '*.so' -exec strip --strip-unneeded {} + 2>/dev/null || true
  compress "$folder" "$archive"
}

pack_vllm() {
  local site
  mkdir -p "$out/vllm"
  if [ -f "$out/vllm/vllm.tar.xz" ] && [ -f "$out/vllm/deps.tar.xz" ]; then
    say "$out/vllm is there"
    return
  fi
  scratch vllm-wheels
  download "$scratch_folder/vllm-wheels" "vllm==$VLLM"
  site=$scratch_folder/site
  unpack_wheels "$scratch_folder/vllm-wheels" "$site"
  mapfile -t kept < <(find "$site" -name '*.so' ! -name '_moe_C*' ! -name '_vllm_fa2_C*')
  quietly python3 "$here/keep_arch.py" "$arch" "${kept[@]}"
  # Mixture-of-experts models and older GPUs: only what there is for this architecture.
  quietly python3 "$here/keep_arch.py" "$arch" --no-ptx "$site"/vllm/_moe_C*.so "$site"/vllm/vllm_flash_attn/_vllm_fa2_C*.so
  rm -rf "$site/vllm/third_party/deep_gemm/include" "$site/vllm/entrypoints/serve/instrumentator/static"
  find "$site" -name '*.so' -exec fallocate --dig-holes {} \;
  compress "$site" "$out/vllm/vllm.tar.xz"

  scratch deps-wheels
  download "$scratch_folder/deps-wheels" -r "$here/vllm-requirements.txt"
  unpack_wheels "$scratch_folder/deps-wheels" "$scratch_folder/deps"
  find "$scratch_folder/deps" -name '*.a' -delete
  find "$scratch_folder/deps" -name '*.so*' -type f -exec strip --strip-unneeded {} + 2>/dev/null || true
  compress "$scratch_folder/deps" "$out/vllm/deps.tar.xz"
}

wanted=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$(mkdir -p "$2" && cd "$2" && pwd); shift 2 ;;
    --arch) arch=$2; shift 2 ;;
    --python) python=$2; shift 2 ;;
    --results) results=$2; shift 2 ;;
    engine | vllm) wanted+=("$1"); shift ;;
    *) sed -n '2,13p' "${BASH_SOURCE[0]}" | cut -c3- >&2; exit 2 ;;
  esac
done
[ "$(uname -m)" = x86_64 ] || fail "made for x86-64, this is $(uname -m)"
for tool in apt-get dpkg fallocate strip xz python3; do
  command -v "$tool" >/dev/null || fail "no $tool here"
done
[ ${#wanted[@]} -gt 0 ] || wanted=(engine vllm)
for name in "${wanted[@]}"; do "pack_$name"; done
