#!/bin/sh
# Starts systemd as process 1 of namespaces of its own: `unshare --mount --pid --net --uts --ipc --fork sh boot.sh FOLDER PROGRAM`. Its
# root is this machine's, with whatever is written going to a file system in memory; its network is a loopback of its own;
# its units are those in FOLDER/units alone, at /units. With `bare` instead of PROGRAM there is no gatepost, and those units stand
# where packages put theirs, in the place of this machine's.
set -eu
memory=$1/memory
program=$2
root=$memory/root

mount --make-rprivate /
mkdir "$memory"
mount -t tmpfs -o mode=755 gatepost-units "$memory"
mkdir "$memory/upper" "$memory/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" "$root"

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 pts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
if [ "$program" = bare ]; then
    find "$root/usr/lib/systemd/system" "$root/etc/systemd/system" -mindepth 1 -delete
    cp -r "$1/units/." "$root/usr/lib/systemd/system"
    # It may say that packages shall start nothing.
    rm -f "$root/usr/sbin/policy-rc.d"
    unit_path=/etc/systemd/system:/usr/lib/systemd/system
else
    cp -r "$1/units" "$root/units"
    mkdir -p "$root/usr/local/bin"
    : >"$root/usr/local/bin/gatepost"
    mount --bind "$program" "$root/usr/local/bin/gatepost"
    unit_path=/units
fi

# Whoever started this has put it into a control group of its own, which becomes the root of those that it sees.
exec unshare --cgroup sh -c '
set -eu
mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
cd "$1"
mkdir -p .before
pivot_root . .before
umount -l /.before
# What systemd mounts for a unit aside (credentials) is to be seen by all.
mount --make-rshared /
export container=gatepost-units "SYSTEMD_UNIT_PATH=$2"
exec /lib/systemd/systemd --system --unit=idle.target --log-target=console --log-level=warning --show-status=false </dev/null
' sh "$root" "$unit_path"
