//! `recvmmsg` and `sendmmsg`: many packets a system call, over buffers that are allocated once.
//!
//! The only `unsafe` of the server. [`Packets`] owns the arrays that the kernel reads and writes and shows them as
//! slices; everything about packets themselves is decided elsewhere.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::mem::{self, offset_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull, addr_of, addr_of_mut};

use nix::libc::{
    self, AF_INET, AF_INET6, c_int, c_uint, c_void, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr, msghdr,
    sockaddr_in, sockaddr_in6, sockaddr_storage,
};

use super::{BATCH, RECEIVE_MAX};
use crate::wire::UDP_MAX;

/// Room for the one control message that is asked for: the address that a packet came to.
const CONTROL: usize = {
    // SAFETY: arithmetic on a length.
    let (v4, v6) = unsafe { (space(size_of::<in_pktinfo>()), space(size_of::<in6_pktinfo>())) };
    if v4 > v6 { v4 } else { v6 }
};

const unsafe fn space(len: usize) -> usize {
    // SAFETY: the caller's.
    unsafe { libc::CMSG_SPACE(len as c_uint) as usize }
}

/// Everything that the kernel is given pointers to. Lives behind one raw pointer, from which all others come, until
/// [`Packets`] is dropped.
#[repr(C)]
struct Arrays {
    packets: [[u8; RECEIVE_MAX]; BATCH],
    replies: [[u8; UDP_MAX]; BATCH],
    peers: [sockaddr_storage; BATCH],
    controls: [Control; BATCH],
    packet_parts: [iovec; BATCH],
    reply_parts: [iovec; BATCH],
    received: [mmsghdr; BATCH],
    sent: [mmsghdr; BATCH],
}

/// Aligned as the headers of control messages have to be.
#[derive(Clone, Copy)]
#[repr(C)]
union Control {
    octets: [u8; CONTROL],
    align: cmsghdr,
}

/// Whether the system knows the calls (a filter of system calls may not).
pub(super) fn is_supported() -> bool {
    // SAFETY: without a descriptor and without headers nothing is read or written.
    let (received, sent) = unsafe {
        let received = libc::recvmmsg(-1, ptr::null_mut(), 0, 0, ptr::null_mut());
        let received = received < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EBADF);
        let sent = libc::sendmmsg(-1, ptr::null_mut(), 0, 0);
        (received, sent < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EBADF))
    };
    received && sent
}

/// Packets that came for a socket and that the system threw away, mostly because its receive buffer was full.
pub(in crate::server) fn drops(socket: BorrowedFd<'_>) -> Option<u32> {
    // Index of the drops among the numbers of `SO_MEMINFO` (linux/sock_diag.h).
    const DROPS: usize = 8;
    let mut numbers = [0u32; DROPS + 1];
    let mut len = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the kernel writes `len` octets at most, which `numbers` has.
    let done = unsafe {
        let numbers = numbers.as_mut_ptr().cast::<c_void>();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, numbers, &mut len)
    };
    (done == 0 && len as usize == size_of_val(&numbers)).then_some(numbers[DROPS])
}

/// A batch of packets and their replies.
pub(super) struct Packets {
    arrays: NonNull<Arrays>,
}

// SAFETY: `Packets` is the only owner of what it points to, and nothing in there belongs to a thread.
unsafe impl Send for Packets {}

impl Packets {
    /// Allocates all buffers.
    pub(super) fn new() -> Self {
        let layout = Layout::new::<Arrays>();
        // SAFETY: the layout is not empty. All-zero octets are a value of every field: integers, arrays of them, null
        // pointers.
        let arrays = unsafe { alloc_zeroed(layout) }.cast::<Arrays>();
        let this = Self { arrays: NonNull::new(arrays).unwrap_or_else(|| handle_alloc_error(layout)) };
        (0..BATCH).for_each(|slot| this.prepare(slot));
        this
    }

    /// Points the receiving header of `slot` to its buffers. The kernel changes lengths in it with each packet.
    fn prepare(&self, slot: usize) {
        assert!(slot < BATCH);
        let at = self.arrays.as_ptr();
        // SAFETY: `at` points to live arrays and `slot` is within them; no slice of them is alive, since those that
        // this type hands out borrow it mutably and this is called between such borrows.
        unsafe {
            addr_of_mut!((*at).packet_parts[slot]).write(iovec {
                iov_base: addr_of_mut!((*at).packets[slot]).cast::<c_void>(),
                iov_len: RECEIVE_MAX,
            });
            let header = addr_of_mut!((*at).received[slot].msg_hdr);
            header.write(msghdr {
                msg_name: addr_of_mut!((*at).peers[slot]).cast::<c_void>(),
                msg_namelen: size_of::<sockaddr_storage>() as c_uint,
                msg_iov: addr_of_mut!((*at).packet_parts[slot]),
                msg_iovlen: 1,
                msg_control: addr_of_mut!((*at).controls[slot]).cast::<c_void>(),
                msg_controllen: CONTROL as _,
                ..mem::zeroed()
            });
        }
    }

    /// Waits for a packet if `wait` is set (as long as the socket's time limit), takes what else is there, and tells
    /// how many there are.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, wait: bool) -> io::Result<usize> {
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let at = self.arrays.as_ptr();
        // SAFETY: the headers point to buffers of the lengths that they say, all in the live arrays; the descriptor is
        // open while it is borrowed.
        let count = unsafe {
            let headers = addr_of_mut!((*at).received).cast::<mmsghdr>();
            libc::recvmmsg(socket.as_raw_fd(), headers, BATCH as c_uint, flags as _, ptr::null_mut())
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// The first `count` packets, each with who sent it and room for its reply.
    pub(super) fn slots(
        &mut self,
        count: usize,
    ) -> impl Iterator<Item = (&[u8], SocketAddr, &mut [u8; UDP_MAX])> {
        let at = self.arrays.as_ptr();
        (0..count.min(BATCH)).map(move |slot| {
            // SAFETY: `slot` is within the live arrays. All parts are disjoint, each slot comes once, and what comes
            // borrows `self` mutably, so nothing else touches the arrays meanwhile.
            unsafe {
                let header = addr_of!((*at).received[slot]);
                let packet = &*addr_of!((*at).packets[slot]);
                let peer = address(&*addr_of!((*at).peers[slot]), (*header).msg_hdr.msg_namelen);
                let len = ((*header).msg_len as usize).min(RECEIVE_MAX);
                (&packet[..len], peer, &mut *addr_of_mut!((*at).replies[slot]))
            }
        })
    }

    /// Sends the replies of the slots `0..count` whose length in `lens` is not 0, each to who asked and from the
    /// address that was asked. Tells how many could not be sent.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, lens: &[usize; BATCH], count: usize) -> usize {
        let at = self.arrays.as_ptr();
        let mut filled = 0;
        for (slot, &len) in lens.iter().enumerate().take(count) {
            if len == 0 {
                continue;
            }
            // SAFETY: `slot` and `filled` are within the live arrays; no slice of them is alive.
            unsafe {
                let received = addr_of!((*at).received[slot].msg_hdr).read();
                #[allow(clippy::unnecessary_cast)] // not everywhere a usize
                let control_len = answer_from(received.msg_control.cast(), received.msg_controllen as usize);
                addr_of_mut!((*at).reply_parts[filled]).write(iovec {
                    iov_base: addr_of_mut!((*at).replies[slot]).cast::<c_void>(),
                    iov_len: len.min(UDP_MAX),
                });
                addr_of_mut!((*at).sent[filled].msg_hdr).write(msghdr {
                    msg_iov: addr_of_mut!((*at).reply_parts[filled]),
                    msg_iovlen: 1,
                    msg_control: if control_len > 0 { received.msg_control } else { ptr::null_mut() },
                    msg_controllen: control_len as _,
                    msg_flags: 0,
                    ..received
                });
            }
            filled += 1;
        }
        self.flush(socket, filled)
    }

    /// A full send buffer drops a reply, as the network might: waiting would stop all other answers. One that cannot
    /// be sent does not keep those behind it.
    fn flush(&mut self, socket: BorrowedFd<'_>, filled: usize) -> usize {
        let at = self.arrays.as_ptr();
        let (mut next, mut lost) = (0, 0);
        while next < filled {
            // SAFETY: `next..filled` was filled above with pointers into the live arrays.
            let sent = unsafe {
                let headers = addr_of_mut!((*at).sent[next]);
                let flags = libc::MSG_DONTWAIT;
                libc::sendmmsg(socket.as_raw_fd(), headers, (filled - next) as c_uint, flags as _)
            };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => next += sent,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    lost += 1;
                    next += 1;
                }
            }
        }
        lost
    }

    /// Makes the slots `0..used` ready for the next batch.
    pub(super) fn reset(&mut self, used: usize) {
        let at = self.arrays.as_ptr();
        for slot in 0..used.min(BATCH) {
            // SAFETY: within the live arrays; no slice of them is alive. Pointers in the header stay what they are.
            unsafe {
                let header = addr_of_mut!((*at).received[slot].msg_hdr);
                (*header).msg_namelen = size_of::<sockaddr_storage>() as c_uint;
                (*header).msg_controllen = CONTROL as _;
            }
        }
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody else has it.
        unsafe { dealloc(self.arrays.as_ptr().cast(), Layout::new::<Arrays>()) };
    }
}

/// Makes the control message that came with a packet the one that its reply leaves with: the address that was asked
/// becomes the source, the routing table chooses the interface (but for link-local addresses, which mean nothing
/// without it). The length of the message; 0 when there is none.
///
/// # Safety
/// `control` points to `len` octets at least, aligned for a header, that the kernel has written.
unsafe fn answer_from(control: *mut cmsghdr, len: usize) -> usize {
    // SAFETY: nothing is read beyond `len`, which is checked against what the header says and what it should hold.
    unsafe {
        if len < size_of::<cmsghdr>() {
            return 0;
        }
        let (level, kind) = ((*control).cmsg_level, (*control).cmsg_type);
        let data = libc::CMSG_DATA(control);
        let holds = |size: usize| len >= libc::CMSG_LEN(size as c_uint) as usize;
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if holds(size_of::<in_pktinfo>()) => {
                let index = data.add(offset_of!(in_pktinfo, ipi_ifindex)).cast::<c_int>();
                index.write_unaligned(0);
                space(size_of::<in_pktinfo>())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if holds(size_of::<in6_pktinfo>()) => {
                let address =
                    data.add(offset_of!(in6_pktinfo, ipi6_addr)).cast::<[u8; 16]>().read_unaligned();
                if !Ipv6Addr::from(address).is_unicast_link_local() {
                    let index = data.add(offset_of!(in6_pktinfo, ipi6_ifindex)).cast::<c_uint>();
                    index.write_unaligned(0);
                }
                space(size_of::<in6_pktinfo>())
            }
            _ => 0,
        }
    }
}

/// An address that the kernel has filled in; of a kind that it does not know, one that nobody can be answered at.
fn address(peer: &sockaddr_storage, len: c_uint) -> SocketAddr {
    let at: *const sockaddr_storage = peer;
    // SAFETY: a `sockaddr_storage` is large enough and aligned for either kind, and the kernel says which it wrote.
    unsafe {
        match (c_int::from(peer.ss_family), len as usize) {
            (AF_INET, len) if len >= size_of::<sockaddr_in>() => {
                let v4 = &*at.cast::<sockaddr_in>();
                let ip = u32::from_be(v4.sin_addr.s_addr).into();
                SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)))
            }
            (AF_INET6, len) if len >= size_of::<sockaddr_in6>() => {
                let v6 = &*at.cast::<sockaddr_in6>();
                let ip = v6.sin6_addr.s6_addr.into();
                let (port, flow) = (u16::from_be(v6.sin6_port), v6.sin6_flowinfo);
                SocketAddr::V6(SocketAddrV6::new(ip, port, flow, v6.sin6_scope_id))
            }
            _ => SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reply_that_cannot_be_sent_costs_itself_alone() {
        let (server, client) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (0..5u8).for_each(|n| assert_eq!(client.send_to(&[n], server.local_addr().unwrap()).unwrap(), 1));
        let mut packets = Packets::new();
        assert_eq!(packets.receive(server.as_fd(), false).unwrap(), 5);
        packets.slots(5).for_each(|(packet, _, reply)| reply[0] = packet[0]);
        for slot in [0, 3] {
            // SAFETY: the peers are IPv4 addresses in live arrays. Nothing can be sent to port 0.
            unsafe {
                let peer = addr_of_mut!((*packets.arrays.as_ptr()).peers[slot]).cast::<sockaddr_in>();
                (*peer).sin_port = 0;
            }
        }
        let mut lens = [0; BATCH];
        lens[..5].fill(1);
        lens[1] = 0;
        assert_eq!(packets.send(server.as_fd(), &lens, 5), 2);
        packets.reset(5);
        for n in [2, 4] {
            let mut buffer = [0; 9];
            assert_eq!((client.recv(&mut buffer).unwrap(), buffer[0]), (1, n));
        }
    }
}
