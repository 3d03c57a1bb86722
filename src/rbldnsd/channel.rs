//! Messages between the serving process and its loader: JSON, each with a descriptor if it likes.
//!
//! A message is four octets of length, little-endian, and as many of JSON. A descriptor travels with the length
//! (unix(7), SCM_RIGHTS). Both ends are this program; what comes is still checked like any input.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Octets of a message: far above any.
const MESSAGE_MAX: usize = 64 << 20;

/// A user's descriptors on their way may be no more than a process may have open, and wait so often and long for others
/// to arrive.
const TRIES: usize = 6000;
const PAUSE: Duration = Duration::from_millis(5);

/// One end.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

impl Channel {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self(socket)
    }

    /// Sends a message, and a descriptor with it.
    pub(super) fn send(
        &self,
        message: &impl Serialize,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let len = u32::try_from(text.len()).ok().filter(|&len| len as usize <= MESSAGE_MAX);
        let head = len.ok_or(io::ErrorKind::InvalidInput)?.to_le_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_slice();
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let mut tries = TRIES;
        let sent = loop {
            match sendmsg(&self.0, &[IoSlice::new(&head)], &mut ancillary, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::TOOMANYREFS) if tries > 0 => {
                    tries -= 1;
                    sleep(PAUSE);
                }
                sent => break sent?,
            }
        };
        (&self.0).write_all(&head[sent..])?;
        (&self.0).write_all(&text)
    }

    /// Waits for a message; `None` when the other end is gone.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        match self.next() {
            // It may go at any octet.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
            {
                Ok(None)
            }
            next => next,
        }
    }

    fn next<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        let mut head = [0; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut head)];
            match recvmsg(&self.0, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                received => break received?.bytes,
            }
        };
        if received == 0 {
            return Ok(None);
        }
        let descriptor = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        (&self.0).read_exact(&mut head[received..])?;
        let len = u32::from_le_bytes(head) as usize;
        if len > MESSAGE_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = vec![0; len];
        (&self.0).read_exact(&mut text)?;
        let message = serde_json::from_slice(&text);
        let message = message.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some((message, descriptor)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Seek;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_in_order() {
        let (here, there) = UnixStream::pair().unwrap();
        let (here, there) = (Channel::new(here), Channel::new(there));
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"handed over").unwrap();
        let long = "x".repeat(300_000);
        let sender = std::thread::spawn(move || {
            here.send(&"plain", None).unwrap();
            here.send(&"with a file", Some(file.as_fd())).unwrap();
            here.send(&long, None).unwrap();
        });
        let next = || there.receive::<String>().unwrap();
        let (text, none) = next().unwrap();
        assert_eq!((text.as_str(), none.is_none()), ("plain", true));
        let (text, descriptor) = next().unwrap();
        assert_eq!(text, "with a file");
        let mut file = File::from(descriptor.unwrap());
        file.rewind().unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "handed over");
        assert_eq!(next().unwrap().0.len(), 300_000);
        sender.join().unwrap();
        assert!(next().is_none(), "the other end is gone");
    }

    #[test]
    fn an_end_within_a_message_is_an_end_and_a_message_that_is_none_an_error() {
        for octets in [&b"\x05\0"[..], b"\x05\0\0\0", b"\x05\0\0\0\"ab"] {
            let (here, mut there) = UnixStream::pair().unwrap();
            there.write_all(octets).unwrap();
            drop(there);
            assert!(Channel::new(here).receive::<String>().unwrap().is_none(), "{octets:?}");
        }
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(b"\x03\0\0\0\"ab").unwrap();
        assert!(Channel::new(here).receive::<String>().is_err(), "somebody is there who is not understood");
    }
}
