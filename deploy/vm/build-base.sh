#!/bin/sh
# Builds a guest image: kernel, modules and a read-only Debian root.
#
#   build-base.sh FLAVOUR [IMAGES]    builds IMAGES/FLAVOUR-KEY, unless it is there; prints its path
#   build-base.sh --key FLAVOUR       prints KEY only
#
# FLAVOUR is a file in packages/ (base, build). IMAGES is $XDG_CACHE_HOME/baton/images by default. KEY is a SHA-256 of
# this script, kernel.py and the package list, so a changed recipe is a new image and an old one is never rewritten.
#
# The folder holds:
#   vmlinux            uncompressed kernel (entered through its PVH note)
#   modules/*.ko       what the guest needs before its root is mounted, and modules.list with their order
#   rootfs.erofs       the root. Not compressed on purpose: the file is shared and cached by the host, while unpacking
#                      would be done by the guest's processor, which is slow where there is no hardware virtualisation
#   manifest.json      versions, sizes and digests. Written last: a folder without it does not count
#
# Works as root, and without root through user namespaces. Needs mmdebstrap and erofs-utils; packages come from where
# mmdebstrap takes them by default.
set -eu

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
fail() { printf 'build-base.sh: %s\n' "$*" >&2; exit 1; }

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
suite=bookworm
kernel_package=linux-image-cloud-amd64
# What is built into the kernel is left out; a "?" marks what a kernel may lack. The crc32c ones are asked for by the
# file systems through the crypto layer, which needs modprobe, which the initramfs lacks: so they are named here.
modules="virtio virtio_ring virtio_mmio virtio_console virtio_blk virtio_rng? crc32c_generic? crc32c_intel? erofs overlay ext4"

key_only=no
if [ "${1:-}" = --key ]; then key_only=yes; shift; fi
[ $# -ge 1 ] || fail "which flavour? one of: $(cd "$here/packages" && ls | sed 's/\.txt$//' | tr '\n' ' ')"
flavour=$1
list=$here/packages/$flavour.txt
[ -f "$list" ] || fail "there is no flavour '$flavour' (no file $list)"
key=$(cat "$here/build-base.sh" "$here/kernel.py" "$list" | sha256sum | cut -c1-16)
if [ "$key_only" = yes ]; then echo "$key"; exit 0; fi

images=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/baton/images}
target=$images/$flavour-$key
if [ -f "$target/manifest.json" ]; then say "image $flavour is there already"; echo "$target"; exit 0; fi

[ "$(uname -m)" = x86_64 ] || fail "images are built on x86_64 only, this machine is $(uname -m)"
for tool in mmdebstrap mkfs.erofs dpkg-deb; do
  command -v $tool >/dev/null || fail "$tool is missing (apt-get install mmdebstrap erofs-utils)"
done
[ -f /usr/share/keyrings/debian-archive-keyring.gpg ] ||
  fail "Debian's signing keys are missing (apt-get install debian-archive-keyring)"

mkdir -p "$images"
# One builder at a time: a second one waits and then finds the image.
exec 9>"$images/.lock"
command -v flock >/dev/null && flock 9
if [ -f "$target/manifest.json" ]; then say "image $flavour is there already"; echo "$target"; exit 0; fi
work=$(mktemp -d "$images/.building-$flavour-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

packages=$(sed 's/#.*//' "$list" | tr -s '[:space:]' ',' | sed 's/^,//; s/,$//')
mode=unshare
if [ "$(id -u)" = 0 ]; then mode=root; fi

# The hooks are passed as text, because without root they run as a user who may not be able to read this folder.
# shellcheck disable=SC2016
settle='set -eu
root=$1
chroot "$root" useradd --create-home --uid 1000 --user-group --shell /bin/bash agent
install -d -m 0755 "$root/workspace" "$root/run/baton"
chroot "$root" chown agent:agent /workspace
printf "127.0.0.1 localhost\n::1 localhost\n" > "$root/etc/hosts"
chroot "$root" git config --system --add safe.directory "*"
chroot "$root" git config --system init.defaultBranch main
chroot "$root" git config --system user.name agent
chroot "$root" git config --system user.email agent@localhost
install -d "$root/.baton/kernel" "$root/.baton/out"'

# shellcheck disable=SC2016
kernel='set -eu
root=$1
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
package=$(apt-cache depends --important '$kernel_package' | sed -n "s/^ *Depends: \(linux-image-[0-9].*\)/\1/p" | head -n 1)
[ -n "$package" ] || { echo "'$kernel_package' names no kernel" >&2; exit 1; }
cd "$root/.baton"
apt-get -q download "$package" -o APT::Sandbox::User=root >&2
dpkg-deb -x "$package"_*.deb kernel
chroot "$root" python3 /.baton/kernel.py /.baton/kernel /.baton/out '$modules'
chroot "$root" dpkg-query -W -f "\${Package} \${Version}\n" > out/packages'

# shellcheck disable=SC2016
pack='set -eu
root=$1
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/log/* \
  "$root"/var/lib/systemd/random-seed "$root"/etc/ssh/ssh_host_* "$root"/tmp/* "$root"/root/.cache
printf "baton\n" > "$root/etc/hostname"
: > "$root/etc/machine-id"
rm -f "$root/etc/resolv.conf"; : > "$root/etc/resolv.conf"
rm -f "$root/usr/sbin/policy-rc.d"
# No extended attributes (-x-1): the kernel folders mounted into this root refuse to list theirs.
mkfs.erofs -T0 -x-1 -U 00000000-0000-4000-8000-000000000000 \
  --exclude-regex="^(proc|sys|dev|run|tmp)/.+" --exclude-path=.baton \
  "$root/.baton/out/rootfs.erofs" "$root" >&2'

say "1/3 fetching and unpacking Debian $suite for flavour $flavour (a few minutes)"
mmdebstrap --mode=$mode --variant=minbase --components=main --architectures=amd64 --format=null \
  --include="$packages" \
  --aptopt='Apt::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook="$settle" \
  --customize-hook="upload $here/kernel.py /.baton/kernel.py" \
  --customize-hook="$kernel" \
  --customize-hook="$pack" \
  --customize-hook="copy-out /.baton/out $work" \
  $suite - >&2

say "2/3 describing the image"
out=$work/out
digest() { sha256sum "$1" | cut -d ' ' -f 1; }
{
  printf '{\n  "flavour": "%s",\n  "key": "%s",\n' "$flavour" "$key"
  printf '  "built_at": "%s",\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf '  "suite": "%s",\n  "kernel": "%s",\n' "$suite" "$(cat "$out/kernel.version")"
  printf '  "vmlinux": { "bytes": %s, "sha256": "%s" },\n' "$(stat -c %s "$out/vmlinux")" "$(digest "$out/vmlinux")"
  printf '  "rootfs": { "bytes": %s, "sha256": "%s" },\n' "$(stat -c %s "$out/rootfs.erofs")" "$(digest "$out/rootfs.erofs")"
  printf '  "modules": [%s],\n' "$(sed 's/.*/"&"/' "$out/modules/modules.list" | paste -sd, -)"
  printf '  "packages": {\n%s\n  }\n}\n' "$(sed 's/^\([^ ]*\) \(.*\)$/    "\1": "\2",/; $ s/,$//' "$out/packages")"
} > "$work/manifest.json"
rm -f "$out/packages" "$out/kernel.version"
mv "$work/manifest.json" "$out/manifest.json"

say "3/3 publishing $target"
chmod -R u+rwX,go+rX "$out"
# A folder without a manifest is the rest of something that never became an image.
rm -rf "$target"
mv "$out" "$target"
say "image $flavour: $(du -sh "$target" | cut -f 1), kernel $(sed -n 's/.*"kernel": "\(.*\)".*/\1/p' "$target/manifest.json")"
echo "$target"
