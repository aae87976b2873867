#!/usr/bin/env bash
# Write a root file system for containers that see the machine's own folders: base.sh OUT.tar WORK
#
# Takes the Python that `python3` names (a virtual environment with PyTorch, say), so that images can
# be built before anything is mounted, and from WORK/vllm-gpu: site (vLLM's wheel, unpacked: its
# compiled files) and deps (what vLLM needs and the machine lacks). Needs neither root nor a registry.
set -euo pipefail

out=$1
work=$2/vllm-gpu
fail() { echo "base.sh: $*" >&2; exit 1; }
trap 'echo "base.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR
for folder in site deps; do
  [ -d "$work/$folder" ] || fail "no folder $work/$folder: run benchmarks/gpu/run.sh vllm first"
done
command -v python3 >/dev/null || fail "no python3 on the PATH"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
root=$temporary/root

# Where the interpreter and its libraries are: of the environment, and of the Python below it.
python3 -I - >"$temporary/python" <<'PYTHON'
import os, sys, sysconfig
base = os.path.realpath(sys._base_executable)
version = f"{sys.version_info.major}.{sys.version_info.minor}"
print(base, version, sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
PYTHON
read -r interpreter version stdlib packages <"$temporary/python"

mkdir -p "$root"/{tmp,proc,sys,dev,root,run,opt,seed,files,var/tmp} \
  "$root"/usr/{bin,sbin,lib,lib64} "$root"/srv/{bin,vllm,python/bin}
for folder in bin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
# A folder of its own: the engine puts its init process there, where no mount on /usr must hide it.
mkdir "$root/sbin"
# Ubuntu's ldconfig is a script that calls the real one by this path.
for name in ldconfig ldconfig.real; do ln -s "../usr/sbin/$name" "$root/sbin/$name"; done
chmod 1777 "$root/tmp" "$root/var/tmp"

take() { # FILE: at the place where it really is, links followed
  local folder
  folder=$(readlink -f "$(dirname "$1")")
  mkdir -p "$root$folder"
  [ -e "$root$folder/$(basename "$1")" ] || cp -L "$1" "$root$folder/"
}
take_with_libraries() { # FILE...
  local file library
  for file in "$@"; do take "$file"; done
  # Each library as ldd names it; lines that end in a colon name the file that was asked about.
  ldd "$@" 2>/dev/null | grep -v ':$' | grep -o '/[^ )]*\.so[^ )]*' | sort -u >"$temporary/libraries" || true
  while read -r library; do
    if [ -e "$library" ]; then take "$library"; fi
  done <"$temporary/libraries"
}
mapfile -t extensions < <(find "$stdlib/lib-dynload" -name '*.so')
take_with_libraries "$interpreter" /bin/sh "${extensions[@]}"
mkdir -p "$root$stdlib"
tar -C "$stdlib" --exclude=./site-packages --exclude=./dist-packages --exclude=./test \
  --exclude=./idlelib --exclude=./tkinter --exclude=./config-* -chf - . 2>/dev/null |
  tar -C "$root$stdlib" -xf - || fail "cannot copy $stdlib"

# What programs look up: users, libraries, and the links of Debian's alternatives. No secrets.
mkdir -p "$root/etc"
for name in passwd group nsswitch.conf ld.so.cache ld.so.conf ld.so.conf.d alternatives localtime; do
  [ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$root/etc/"
done

# An environment of our own on that Python: vLLM's needs first, then the machine's packages.
site=$root/srv/python/lib/python$version/site-packages
mkdir -p "$site"
printf 'home = %s\ninclude-system-site-packages = false\nversion = %s\n' \
  "$(dirname "$interpreter")" "$version" >"$root/srv/python/pyvenv.cfg"
ln -s "$interpreter" "$root/srv/python/bin/python3"
cp -a "$work/deps/." "$site/"
cp -a "$work"/site/vllm-*.dist-info "$site/"
printf 'import site; site.addsitedir("%s")\n' "$packages" >"$site/machine.pth"
(cd "$work/site" && find vllm -name '*.so' -exec cp --parents --sparse=always {} "$root/srv/vllm/" \;)

# Every process starts with caches of its own, filled with what the unpatched release left in /seed.
cat >"$root/srv/bin/python3" <<'SH'
#!/bin/sh
[ ! -d /seed/triton ] || [ -d /tmp/cache ] || cp -r /seed /tmp/cache
exec /srv/python/bin/python3 "$@"
SH
chmod 755 "$root/srv/bin/python3"

# Never checked against the sources: their times are all set to zero below.
python3 -I -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$root" -p / "$site" >/dev/null 2>&1 || true
chmod -R a+rX "$root"
# No holes in the archive: Docker refuses such.
tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$out" .
