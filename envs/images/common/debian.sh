# Root file systems out of Debian's packages: functions for the recipes' base.sh.
#
# Needs a Debian or Ubuntu machine whose apt knows its packages. Neither root nor a registry: the
# packages are unpacked, not installed. A recipe that uses this file has a link to it in its own
# folder, for it is what stands there that tells one recipe from another.

fail() { echo "base.sh: $*" >&2; exit 1; }

# The version of Python that python3-minimal stands for.
debian_python() {
  apt-cache depends python3-minimal | sed -n 's/^ *\(Pre\)\?Depends: \(python3\.[0-9]*\)-minimal$/\2/p' | head -1
}

# Make a root file system of a Python, a small shell, and packages with all that they depend on:
# debian_root ROOT PYTHON PACKAGE...
debian_root() {
  local root=$1 python=$2 tool wanted skip packages real deb folder
  shift 2
  for tool in apt-get dpkg-deb apt-cache; do
    command -v "$tool" >/dev/null || fail "no $tool: name another base in recipe.yaml (base: image:)"
  done
  [ -n "$(apt-cache show --no-all-versions "$python-minimal" 2>/dev/null)" ] \
    || fail "apt knows no ${python:-python3}-minimal (apt-get update? or name another base in recipe.yaml, base: image:)"

  # Found by apt and followed to the end.
  wanted=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "$python-minimal" "lib$python-stdlib" "$@" \
    | grep '^[a-z0-9]' | sort -u)
  skip='^(perl|libperl|mailcap|mime-support|readline-common|dpkg|debconf|cdebconf|install-info|tar|debianutils|libpam.*|gcc-.*-base|python3.*-doc)'
  packages=$(echo "$wanted" | grep -Ev "$skip" || true)
  # Names that stand for no package of their own (virtual ones) can't be downloaded.
  real=$(apt-cache show --no-all-versions $packages busybox-static 2>/dev/null | sed -n 's/^Package: //p' | sort -u)
  mkdir -p debs
  (cd debs && apt-get download -q $real >../apt.log 2>&1) || fail "apt-get download: $(tail -1 apt.log)"

  mkdir -p "$root"/{tmp,proc,sys,dev,root,opt,etc,run,var/tmp,files} "$root"/usr/{bin,lib,lib64,sbin}
  for folder in bin lib lib64 sbin; do ln -s "usr/$folder" "$root/$folder"; done
  for deb in debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$root" --keep-directory-symlink -xf - \
      --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale'
  done
  ln -sf "$python" "$root/usr/bin/python3"
  for tool in sh ls cat mkdir rm cp mv echo sleep true false env id; do
    [ -e "$root/bin/$tool" ] || ln -s busybox "$root/bin/$tool"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  chmod 1777 "$root/tmp" "$root/var/tmp"
  PATH=$PATH:/sbin:/usr/sbin ldconfig -r "$root" 2>/dev/null || true
}

# Compile modules with the image's own Python, if this machine can run it (else each start compiles
# anew). Never checked against the sources: pack_root sets all their times to zero. (-B, or what the
# compiler itself imports would be compiled the other way beforehand.)
# compile_modules ROOT PYTHON FOLDER...
compile_modules() {
  local root=$1 python=$2
  shift 2
  LD_LIBRARY_PATH=$(echo "$root"/usr/lib/*-linux-gnu*) "$root/usr/bin/$python" -I -B -m compileall -q \
    --invalidation-mode unchecked-hash -s "$root" -p / "${@/#/$root}" >/dev/null 2>&1 || true
}

# The archive of a root file system, the same for the same files: pack_root ROOT OUT.tar
pack_root() {
  tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$2" .
}
