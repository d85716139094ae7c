#!/usr/bin/env bash
# A bare machine, README followed word by word, timed: what a newcomer needs and did not find shows here.
#
#     sudo bash tools/bare_machine.sh FOLDER bookworm "make demo" "make test"
#
# FOLDER becomes a Debian of that release (debootstrap; kept for the next time, rm -rf it for a new one) with python3,
# python3-venv, make, git and nothing else, and a fresh ordinary user in it, who clones this repository and types the rest.
# From the environment: LOCALE (none, as there), UMASK (022), CHECKOUT (the folder's name in the user's home; sususbot),
# AGAIN=1 (keep the checkout of the last time), PACKAGES; PIP_CONF, a pip.conf for the machine, and WHEELS, a folder that
# pip finds wheels in, where packages do not come from their usual place.
# It makes nothing but FOLDER, and mounts what it needs only while it runs.
set -euo pipefail

root=$1 release=$2
shift 2
source=$(cd "$(dirname "$0")/.." && pwd)
locale=${LOCALE:-} mask=${UMASK:-022} checkout=${CHECKOUT:-sususbot} user=ada

if [ ! -e "$root/.made" ]; then
    rm -rf "$root"
    debootstrap --variant=minbase "$release" "$root" >&2
    chroot "$root" apt-get update -qq
    chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ${PACKAGES:-python3 python3-venv make git ca-certificates} >&2
    chroot "$root" useradd --create-home --shell /bin/bash "$user"
    cp /etc/resolv.conf "$root/etc/"
    # Which an installer writes, and debootstrap does not; torchrun waits for ever for a name that nobody knows.
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost\n' "$(hostname)" >"$root/etc/hosts"
    # Of whoever vouches for the place that packages come from.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    touch "$root/.made"
fi
[ -z "${PIP_CONF:-}" ] || cp "$PIP_CONF" "$root/etc/pip.conf"

mounted=()
mount_at() { mount "$@" && mounted=("${@: -1}" "${mounted[@]}"); }
unmount() { for each in "${mounted[@]}"; do umount -l "$each"; done; }
trap unmount EXIT
mount_at -t proc proc "$root/proc"
mount_at --rbind /dev "$root/dev"
if [ -n "${WHEELS:-}" ]; then
    mkdir -p "$root/opt/wheels"
    mount_at --bind -o ro "$WHEELS" "$root/opt/wheels"
fi

inside() {
    chroot --userspec="$user:$user" "$root" env -i HOME="/home/$user" USER="$user" PATH=/usr/local/bin:/usr/bin:/bin \
        ${locale:+LANG="$locale" LC_ALL="$locale"} ${WHEELS:+PIP_FIND_LINKS=/opt/wheels} \
        bash -c "umask $mask; cd; $1" </dev/null
}
if [ -z "${AGAIN:-}" ]; then
    rm -rf "$root/home/$user/$checkout"
    git clone -q "$source" "$root/home/$user/$checkout"
    chroot "$root" chown -R "$user:$user" "/home/$user/$checkout"
fi

failed=0
for what in "$@"; do
    begun=$SECONDS
    echo "== $what"
    inside "cd '$checkout' && $what" && code=0 || code=$?
    [ "$code" = 0 ] || failed=1
    echo "== $what: exit $code after $((SECONDS - begun)) s"
done
exit "$failed"
