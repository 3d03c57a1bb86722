# A host of its own: process ids, network, resolver, one more user. $1: its folder.
set -e
mount --make-rprivate /
mount -t proc proc /proc
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
# Clients come from here without being addresses of the host, which Haraka would not ask for.
ip route add local 5.6.7.0/24 dev lo
echo "nameserver 127.0.0.1" > "$1/resolv.conf"
# Exim from its package looks for the user that the package makes.
sed '/^Debian-exim:/d' /etc/passwd > "$1/passwd"; echo "Debian-exim:x:64999:64999::/:/bin/false" >> "$1/passwd"
sed '/^Debian-exim:/d' /etc/group > "$1/group"; echo "Debian-exim:x:64999:" >> "$1/group"
for file in resolv.conf passwd group; do mount --bind "$1/$file" "/etc/$file"; done
echo booted > "$1/booted"
exec sleep infinity
