#!/usr/bin/env bash
# Write a root file system of Debian's Python and numpy: base.sh OUT.tar WORK
#
# Needs what debian.sh needs, and pip.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python=$(debian_python)
debian_root root "$python" libgcc-s1 libstdc++6

# Wheels for the image's Python, whichever runs this.
site=/usr/lib/python3/dist-packages
mkdir -p "root$site"
python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --no-compile \
  --only-binary=:all: --python-version "${python#python}" --implementation cp --target "root$site" \
  -r "$here/requirements.lock" 2>pip.log || fail "pip: $(tail -1 pip.log)"
rm -rf "root$site"/*/tests "root$site"/*/*/tests "root$site"/bin
compile_modules root "$python" "/usr/lib/$python" "$site"
pack_root root "$out"
