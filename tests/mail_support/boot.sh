# A host of its own: process ids, network, resolver, one more user. $1: its folder.
set -e
mount --make-rprivate /
mount -t proc proc /proc
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
# Clients come from here without being addresses of the host, which Haraka would not ask for.
ip route add local 5.6.7.0/24 dev lo
echo "nameserver 127.0.0.1" > "$1/resolv.conf"
# Exim and systemd-resolved, which are only unpacked, look for the users that their packages make.
users="Debian-exim:x:64999:64999::/:/bin/false systemd-resolve:x:64998:64998::/:/bin/false"
grep -v "^Debian-exim:\|^systemd-resolve:" /etc/passwd > "$1/passwd"
grep -v "^Debian-exim:\|^systemd-resolve:" /etc/group > "$1/group"
for user in $users; do echo "$user" >> "$1/passwd"; echo "$user" | cut -d: -f1-3 | sed 's/$/:/' >> "$1/group"; done
for file in resolv.conf passwd group; do mount --bind "$1/$file" "/etc/$file"; done
echo booted > "$1/booted"
exec sleep infinity
