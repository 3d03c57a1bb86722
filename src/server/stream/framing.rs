//! DNS messages in a stream, each with its length before it (RFC 1035 section 4.2.2): over TCP and over TLS.
//!
//! A client may send many messages without waiting (RFC 7766 section 6.2.1.1). An answer takes microseconds and waits for
//! nothing, so replies come in the order of the questions; those to questions that came together leave together.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::Terms;
use super::desk::{Answer, Desk};
use super::room::Due;

/// Octets of the read buffer of a connection: a dozen questions.
const READ_BUFFER: usize = 1024;
/// Replies that wait for others are sent when they are so long together.
const WRITE_BUFFER: usize = 16 << 10;

/// Serves messages until the client closes, a limit is met (an error when in the midst of a message), the client
/// sends what deserves silence, or the connection has to end; what has come by then is answered.
pub(super) async fn serve<S>(stream: S, peer: SocketAddr, desk: &Desk, mut terms: Terms) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::with_capacity(READ_BUFFER, stream);
    let mut replies = Vec::new();
    loop {
        let idle = terms.within(terms.limits.idle);
        let is_last = terms.is_told_to_end();
        let begun = tokio::select! {
            biased;
            begun = timeout_at(idle, stream.fill_buf()) => begun,
            () = terms.told_to_end() => {
                if is_last {
                    break;
                }
                // The runtime may not have heard yet of what has come.
                yield_now().await;
                continue;
            }
        };
        match begun {
            Ok(Ok(octets)) if !octets.is_empty() => {}
            // The client has closed, over TLS perhaps without its last word, or has nothing to ask.
            Ok(Ok(_)) | Err(_) => break,
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
        }
        let (goes_on, due) = answer_what_came(&mut stream, peer, desk, &terms, &mut replies).await?;
        let sent = timeout_at(terms.within(terms.limits.message), send(&mut stream, &mut replies));
        terms.unless_lost(sent).await???;
        drop(due);
        if !goes_on || is_last || Instant::now() >= terms.end {
            break;
        }
    }
    // Over TLS this says that nothing was cut off. The client may be gone already.
    let _ = timeout_at(terms.within(terms.limits.message), stream.shutdown()).await?;
    Ok(())
}

/// Reads the message that has begun and those that are there already, and puts the replies into `replies`; whether more
/// messages are welcome, and that the replies are due until they are sent.
async fn answer_what_came<S: AsyncRead + Unpin>(
    stream: &mut BufReader<S>,
    peer: SocketAddr,
    desk: &Desk,
    terms: &Terms,
    replies: &mut Vec<u8>,
) -> io::Result<(bool, Due)> {
    let message = timeout_at(terms.within(terms.limits.message), read_message(stream));
    let mut message = terms.unless_lost(message).await???;
    let due = terms.seat.due();
    loop {
        let Answer::Reply(reply) = desk.answer(&message, peer).await else {
            return Ok((false, due));
        };
        let Ok(len) = u16::try_from(reply.len()) else {
            return Ok((false, due));
        };
        replies.extend_from_slice(&len.to_be_bytes());
        replies.extend_from_slice(&reply);
        if !holds_a_message(stream.buffer()) || replies.len() >= WRITE_BUFFER {
            return Ok((true, due));
        }
        // It is there, so this waits for nothing.
        message = read_message(stream).await?;
    }
}

/// A message without its length.
async fn read_message<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Vec<u8>> {
    let len = stream.read_u16().await?;
    let mut message = vec![0; usize::from(len)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Whether a whole message is there.
fn holds_a_message(octets: &[u8]) -> bool {
    octets.split_first_chunk().is_some_and(|(&len, rest)| rest.len() >= usize::from(u16::from_be_bytes(len)))
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, replies: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(replies).await?;
    // Over TLS what is written may wait for a flush.
    stream.flush().await?;
    replies.clear();
    Ok(())
}
