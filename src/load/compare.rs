//! Several servers under the same load, in alternating rounds: what drifts on the machine meets all of them alike.

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::check::{Fault, check};
use super::process::Server;
use super::questions::Questions;
use super::run::{Plan, load};
use super::tally::Tally;

/// Pause between two tries of the first question.
const PACE: Duration = Duration::from_millis(20);
/// How long a server may take until it is told that it is waited for.
const QUIET: Duration = Duration::from_secs(3);

/// What one round says of one server.
#[derive(Debug, Clone)]
pub struct Round {
    /// What came back.
    pub tally: Tally,
    /// CPU time of the server's processes during the round.
    pub cpu: Duration,
}

impl Round {
    /// CPU time of a query, in microseconds.
    pub fn cpu_per_query(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.tally.answered().max(1) as f64
    }
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A server cannot be measured.
    #[error("`{command}`: {why}")]
    Server {
        /// The command that should have started it.
        command: String,
        /// What happened.
        why: String,
    },
    /// Somebody asked for the end before a round was whole.
    #[error("interrupted")]
    Interrupted,
    /// Sockets or `/proc` failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One round: each server once, those at odd rounds in reverse order. Gives the results in the order of `servers`.
pub fn round(
    servers: &[Server],
    plan: &Plan,
    questions: &mut Questions,
    number: usize,
    stop: &AtomicBool,
) -> Result<Vec<Round>, CompareError> {
    let mut order: Vec<usize> = (0..servers.len()).collect();
    if number % 2 == 1 {
        order.reverse();
    }
    // Each round begins elsewhere, and with the same question for all.
    let first = questions.len() / 16 * (number % 16);
    let mut rounds: Vec<Option<Round>> = vec![None; servers.len()];
    for at in order {
        let server = &servers[at];
        let before = server.cpu()?;
        let tally = load(&Plan { server: server.address, ..plan.clone() }, questions, first, stop)?;
        let cpu = server.cpu()?.saturating_sub(before);
        rounds[at] = Some(Round { tally, cpu });
        if stop.load(Ordering::Relaxed) {
            return Err(CompareError::Interrupted);
        }
    }
    Ok(rounds.into_iter().flatten().collect())
}

/// An error when one of the servers that were started with `commands` has ended.
pub fn all_run(servers: &mut [Server], commands: &[String]) -> Result<(), CompareError> {
    for (server, command) in servers.iter_mut().zip(commands) {
        if let Some(why) = server.has_ended()? {
            return Err(CompareError::Server { command: command.clone(), why });
        }
    }
    Ok(())
}

/// Waits until each of the servers that were just started with `commands` answers rightly, one after the other; the end of any
/// of them ends it. `waiting` is told once for each server that takes long, what for.
pub fn await_answers(
    servers: &mut [Server],
    commands: &[String],
    questions: &mut Questions,
    patience: Duration,
    stop: &AtomicBool,
    mut waiting: impl FnMut(&str),
) -> Result<(), CompareError> {
    for at in 0..servers.len() {
        let address = servers[at].address;
        let (mut quiet, deadline) = (Some(Instant::now() + QUIET), Instant::now() + patience);
        loop {
            let answer = try_question(address, questions, PACE)?;
            if let Some(Ok(())) = answer {
                break;
            }
            all_run(servers, commands)?;
            if stop.load(Ordering::Relaxed) {
                return Err(CompareError::Interrupted);
            }
            let question = || questions.text(questions.telling());
            let so_far = || match &answer {
                Some(Err(fault)) => format!("it answers `{}` wrongly ({})", question(), fault.name()),
                _ => format!("it does not answer `{}`", question()),
            };
            if Instant::now() > deadline {
                let why = so_far() + &servers[at].last_words();
                return Err(CompareError::Server { command: commands[at].clone(), why });
            }
            if quiet.take_if(|quiet| Instant::now() > *quiet).is_some() {
                let left = deadline.saturating_duration_since(Instant::now()).as_secs();
                waiting(&format!(
                    "waiting for an answer of `{}` at {address}, for {left} seconds more at most: so far {}",
                    commands[at],
                    so_far()
                ));
            }
        }
    }
    Ok(())
}

/// Asks the question that tells most, once: what is wrong with the reply; `None` when none comes in time. Takes the
/// time whether or not something answers.
pub fn try_question(
    server: std::net::SocketAddr,
    questions: &mut Questions,
    wait: Duration,
) -> io::Result<Option<Result<(), Fault>>> {
    let number = questions.telling();
    let id = std::process::id() as u16;
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    let deadline = Instant::now() + wait;
    // Nobody may listen yet.
    let _ = socket.send(questions.message(number, id));
    let mut buffer = [0; 4096];
    while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(len) if buffer[..len].starts_with(&id.to_be_bytes()) => {
                let (section, expected) = questions.question(number);
                return Ok(Some(check(&buffer[..len], section, expected)));
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(left),
        }
    }
    Ok(None)
}

/// The median of some numbers, and what lies a quarter from either end.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quartiles {
    /// A quarter is not above this.
    pub low: f64,
    /// The one in the middle.
    pub median: f64,
    /// A quarter is above this.
    pub high: f64,
}

impl Quartiles {
    /// Of at least one number.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let [low, median, high] = [0.25, 0.5, 0.75].map(|part| {
            // Between two of them in proportion: with three or seven numbers no one of them stands there.
            let at = (sorted.len() - 1) as f64 * part;
            let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
            below + (above - below) * at.fract()
        });
        Self { low, median, high }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles() {
        assert_eq!(Quartiles::of([5.0, 1.0, 4.0, 2.0, 3.0]), Quartiles { low: 2.0, median: 3.0, high: 4.0 });
        assert_eq!(Quartiles::of([3.0, 1.0, 2.0]), Quartiles { low: 1.5, median: 2.0, high: 2.5 });
        assert_eq!(Quartiles::of([4.0, 2.0]), Quartiles { low: 2.5, median: 3.0, high: 3.5 });
        assert_eq!(Quartiles::of([7.0]), Quartiles { low: 7.0, median: 7.0, high: 7.0 });
    }
}
