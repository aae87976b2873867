#!/usr/bin/env bash
# Run two commits at once on two GPUs, kill the run with SIGKILL in the middle, and give the same
# command again while another program holds one of the GPUs' slots.
#
#   two_gpus.sh [--home DIR] [--out DIR] [--seconds N] STEP...
#
# Steps, after `run.sh prepare`:
#   begin      start the campaign of docs/examples/h200/campaign.yaml, two commits of it
#   kill       wait until blocks of both commits are in the middle, then SIGKILL
#   go-on      hold GPU 0's slot for 25 s, give the same command again, follow it for N seconds [300]
#   pair       one block of the task that needs both GPUs, in which agents' patches fail on one rank
#   neighbour  windows on GPU 0 beside an idle, a starting and a working GPU 1, for N seconds
#   check      print each block's slots, and each launch that finished more than once
#   collect    pack results and logs into --out
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=/mnt/patchbench
out=.
seconds=300
# Beyond what Snakemake takes until its first jobs start.
HELD_SECONDS=25
KILL_SECONDS=300
ONE=(--config docs/examples/h200/campaign.yaml --gpus 2)
TWO=(--gpus 2 --set max_gpus_per_task=2 --set 'tasks=[.patchbench/vllm-gpu/two-gpus.yaml]' --set results=results/pair
  --set 'protocol={blocks: 1, aa_blocks: 0, windows: 1, limits: {benchmark: 120}}')

fail() { echo "two_gpus: $*" >&2; exit 1; }
say() { echo "two_gpus: $(date -u +%T) $*"; }
run() { bash "$here/run.sh" --home "$home" "$@"; }

python() { # as run.sh's: the packages that came along, or the checkout's environment
  local own=$here/../../.venv/bin/python
  if [ -d "$home/engine" ] || [ ! -x "$own" ]; then own=python3; fi
  PYTHONPATH=$home/project/src:$home/engine/site TMPDIR=$home/tmp PYTHONUNBUFFERED=1 "$own" "$@"
}
journals() { python "$here/blocks.py" "$1" "$home/project/results/two-gpus" "${@:2}"; }

targets() { # of the first two tasks
  sed -n 's/^  - commit: "\(.*\)"$/\1/p' "$home/project/.patchbench/vllm-gpu/tasks.yaml" | head -2 |
    while read -r commit; do printf -- '--target\nresults/two-gpus/metrics/%s.json\n' "$commit"; done
}

step_begin() {
  mapfile -t targets < <(targets)
  run "${ONE[@]}" "${targets[@]}" start
}

step_kill() {
  journals torn "$KILL_SECONDS"
  run "${ONE[@]}" kill
  journals check
}

step_go-on() {
  local locks=${PATCHBENCH_LOCKS:-$home/tmp/patchbench-$(id -u)}
  [ -f "$locks/gpu0.lock" ] || fail "no $locks/gpu0.lock"
  flock "$locks/gpu0.lock" sleep "$HELD_SECONDS" &
  sleep 0.5
  step_begin
  run "${ONE[@]}" --seconds "$seconds" wait
}

step_pair() {
  run "${TWO[@]}" start
  run "${TWO[@]}" --seconds "$seconds" wait
}

step_neighbour() {
  local work=$home/project/.patchbench/vllm-gpu
  python "$here/neighbour.py" \
    --model "$work/model" --site "$work/site" --deps "$work/deps" --out "$home/neighbour" \
    --seconds "$seconds"
}

step_check() { journals check; }

step_collect() {
  local name
  mkdir -p "$out"
  for name in two-gpus pair; do
    if [ -d "$home/project/results/$name" ]; then
      run --set "results=results/$name" --out "$out/$name" collect
    fi
  done
  if [ -d "$home/neighbour" ]; then cp "$home/neighbour/windows.json" "$out/"; fi
}

steps=()
while [ $# -gt 0 ]; do
  case $1 in
    --home) home=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    -*) sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
    *) declare -F "step_$1" >/dev/null || fail "no step $1 (two_gpus.sh --help)"; steps+=("$1"); shift ;;
  esac
done
[ ${#steps[@]} -gt 0 ] || fail "no step (two_gpus.sh --help)"
for step in "${steps[@]}"; do "step_$step"; done
