//! A run: questions go out, one packet a call, and replies come back, in one thread.
//!
//! The closed loop keeps a number of questions in flight: each reply releases the next. The open loop sends at times that are
//! settled beforehand, whatever the server does, and counts latency from those times: a server that stalls is charged
//! for every question that had to wait, not for the one that it happened to hold.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_timerslack;
use nix::sys::time::{TimeSpec, TimeValLike};

use super::check::check;
use super::port::{BATCH, Batch, Landed, Port};
use super::questions::Questions;
use super::random::Random;
use super::tally::{Tally, Wrong};

/// How often lost questions are looked for.
const TICK: u64 = 1_000_000;

/// Places of a port that are looked at each time.
const LOOK: usize = 256;

/// The closed loop looks for replies this long before it sleeps, so that no server is charged with waking it.
const SPIN: u64 = 200_000;

/// The longest sleep: somebody may want the run to end.
const NAP: u64 = 50_000_000;

/// Places of a port in the open loop, where nothing but the timeout bounds what is in flight.
const OPEN_FLIGHTS: usize = 1 << 14;

/// A question that is sent later than this after its time is counted as delayed.
const DELAYED: u64 = 1_000_000;

/// How a run goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server.
    pub server: SocketAddr,
    /// When questions are sent.
    pub pace: Pace,
    /// Client ports, at least one.
    pub sockets: usize,
    /// How long questions are sent.
    pub duration: Duration,
    /// How many are sent at most.
    pub count: u64,
    /// A question that is not answered by then is lost.
    pub timeout: Duration,
}

/// When questions are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Closed loop: so many are in flight at any time.
    Window(usize),
    /// Open loop.
    Rate {
        /// Questions a second.
        rate: f64,
        /// At even distances; otherwise as independent clients send them (a Poisson process).
        even: bool,
    },
}

/// Asks the questions from number `first` on. Ends early, as a run of its length, when `stop` is set.
pub fn load(plan: &Plan, questions: &mut Questions, first: usize, stop: &AtomicBool) -> io::Result<Tally> {
    assert!(!questions.is_empty() && plan.sockets > 0, "there is something to ask, and a way");
    let flights = match plan.pace {
        // Room for what is lost and may come late beside what is in flight.
        Pace::Window(window) => (4 * window.div_ceil(plan.sockets)).max(1 << 12),
        Pace::Rate { .. } => OPEN_FLIGHTS,
    };
    let ports = (0..plan.sockets).map(|_| Port::open(plan.server, flights)).collect::<io::Result<_>>()?;
    let mut run = Run {
        next: first % questions.len(),
        questions,
        ports,
        batch: Batch::new(),
        tally: Tally::new(),
        timeout: nanos(plan.timeout),
        end: nanos(plan.duration),
        count: plan.count,
        stop,
        start: Instant::now(),
        ticked: 0,
        last_reply: 0,
        idle: 0,
        idle_since: None,
    };
    let sent_until = match plan.pace {
        Pace::Window(window) => run.closed(window)?,
        Pace::Rate { rate, even } => run.open(rate, even)?,
    };
    run.tally.elapsed = Duration::from_nanos(sent_until.max(run.last_reply));
    Ok(run.tally)
}

struct Run<'q> {
    questions: &'q mut Questions,
    /// The question that comes next.
    next: usize,
    ports: Vec<Port>,
    batch: Batch,
    tally: Tally,
    timeout: u64,
    end: u64,
    count: u64,
    stop: &'q AtomicBool,
    // Times in nanoseconds from here on.
    start: Instant,
    ticked: u64,
    last_reply: u64,
    idle: u64,
    idle_since: Option<u64>,
}

impl Run<'_> {
    /// When sending ended.
    fn closed(&mut self, window: usize) -> io::Result<u64> {
        let count = self.ports.len();
        for number in 0..window {
            if self.is_over(0) {
                break;
            }
            self.send_now(number % count)?;
        }
        let mut ended = None;
        loop {
            let mut came = false;
            for port in 0..count {
                let (replies, released) = self.gather(port)?;
                came |= replies > 0;
                for _ in 0..released {
                    if ended.is_none() && self.tally.sent < self.count {
                        self.send_now(port)?;
                    }
                }
            }
            let now = self.now();
            self.note_idle(!came, now);
            if now - self.ticked >= TICK {
                self.ticked = now;
                for port in 0..count {
                    for _ in 0..self.give_up(port, now) {
                        if ended.is_none() && self.tally.sent < self.count {
                            self.send_now(port)?;
                        }
                    }
                }
                if ended.is_none() && self.is_over(now) {
                    ended = Some(self.end_of_sending(now));
                }
            }
            if let Some(ended) = ended
                && self.flying() == 0
            {
                return Ok(ended);
            }
            match self.idle_since {
                Some(since) if now - since > SPIN => self.sleep(TICK)?,
                Some(_) => std::hint::spin_loop(),
                None => {}
            }
        }
    }

    /// When sending ended.
    fn open(&mut self, rate: f64, even: bool) -> io::Result<u64> {
        // Sleeps end when they are told to, not 50 µs later.
        let _ = set_timerslack(1);
        let mut random = Random::new(2);
        let mut gap = move || 1e9 / rate * if even { 1.0 } else { random.gap() };
        let mut due = gap();
        let mut ended = None;
        let mut port = 0;
        loop {
            let now = self.now();
            let mut full = false;
            for _ in 0..BATCH {
                if ended.is_some() || due as u64 > now {
                    break;
                }
                if self.is_over(due as u64) {
                    ended = Some(self.end_of_sending(now));
                    break;
                }
                port = (port + 1) % self.ports.len();
                if !self.send(port, Some(due as u64))? {
                    full = true; // the time that it was due stays
                    break;
                }
                due += gap();
            }
            let mut came = false;
            for port in 0..self.ports.len() {
                came |= self.gather(port)?.0 > 0;
            }
            let now = self.now();
            if now - self.ticked >= TICK {
                self.ticked = now;
                for port in 0..self.ports.len() {
                    self.give_up(port, now);
                }
                // What was due before the end is sent, however late; not for ever, if it is more than can be sent.
                let hopeless = now > self.end.saturating_add(self.timeout);
                if ended.is_none() && (hopeless || self.is_over(now.min(due as u64))) {
                    let missed = self.end.saturating_sub(due as u64) as f64 * rate / 1e9;
                    self.tally.unsent = if hopeless { missed.ceil() as u64 } else { 0 };
                    ended = Some(self.end_of_sending(now));
                }
            }
            if let Some(ended) = ended
                && self.flying() == 0
            {
                return Ok(ended);
            }
            if came {
                continue;
            }
            let wait = match ended {
                Some(_) => TICK,
                // Until something comes, or the next look for what is lost.
                None if full => TICK,
                None => (due as u64).saturating_sub(now).min(NAP),
            };
            if wait > 0 {
                self.note_idle(true, now);
                self.sleep(if self.flying() > 0 { wait.min(10 * TICK) } else { wait })?;
                let now = self.now();
                self.note_idle(false, now);
            }
        }
    }

    fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.end || self.tally.sent >= self.count || self.stop.load(Ordering::Relaxed)
    }

    fn flying(&self) -> usize {
        self.ports.iter().map(Port::flying).sum()
    }

    fn note_idle(&mut self, idle: bool, now: u64) {
        match (idle, self.idle_since) {
            (true, None) => self.idle_since = Some(now),
            (false, Some(since)) => {
                self.idle += now - since;
                self.idle_since = None;
            }
            _ => {}
        }
    }

    fn end_of_sending(&mut self, now: u64) -> u64 {
        let idle = self.idle + self.idle_since.map_or(0, |since| now - since);
        self.tally.busy = 1.0 - idle as f64 / now.max(1) as f64;
        now
    }

    fn send_now(&mut self, port: usize) -> io::Result<bool> {
        self.send(port, None)
    }

    /// Sends the next question, which was due then or is now; not when the port has no room.
    fn send(&mut self, port: usize, due: Option<u64>) -> io::Result<bool> {
        let now = self.now();
        let due = due.unwrap_or(now);
        let Some(id) = self.ports[port].launch(self.next, due, now) else { return Ok(false) };
        let message = self.questions.message(self.next, id);
        loop {
            match self.ports[port].socket.send(message) {
                Ok(_) => break,
                // What came back for an earlier question; telling it has cleared it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.tally.sent += 1;
        self.tally.delayed += u64::from(now.saturating_sub(due) > DELAYED);
        self.next = (self.next + 1) % self.questions.len();
        Ok(true)
    }

    /// Receives a batch: how many replies came, and how many questions are no longer in flight.
    fn gather(&mut self, port: usize) -> io::Result<(usize, usize)> {
        let replies = self.batch.receive(self.ports[port].fd())?;
        if replies == 0 {
            return Ok((0, 0));
        }
        let now = self.now();
        let mut released = 0;
        for at in 0..replies {
            let reply = self.batch.reply(at);
            let Some(id) = reply.first_chunk().map(|id| u16::from_be_bytes(*id)) else {
                self.tally.unknown += 1;
                continue;
            };
            match self.ports[port].land(id, now, self.timeout) {
                Landed::Answer { question, due } => {
                    released += 1;
                    self.last_reply = now;
                    let (section, expected) = self.questions.question(question);
                    let latency = now - due;
                    match check(reply, section, expected) {
                        Ok(()) => self.tally.right(latency),
                        Err(fault) => self.tally.wrong(fault, latency, || Wrong {
                            question: self.questions.text(question),
                            fault,
                            came: reply
                                .first_chunk::<12>()
                                .map(|header| (header[3] & 15, u16::from_be_bytes([header[6], header[7]]))),
                        }),
                    }
                }
                Landed::Overdue => {
                    released += 1;
                    self.tally.lost += 1;
                    self.tally.late += 1;
                }
                Landed::Late => self.tally.late += 1,
                Landed::Twice => self.tally.twice += 1,
                Landed::Unknown => self.tally.unknown += 1,
            }
        }
        Ok((replies, released))
    }

    fn give_up(&mut self, port: usize, now: u64) -> u64 {
        let lost = self.ports[port].give_up(LOOK, now, self.timeout);
        self.tally.lost += lost;
        lost
    }

    /// Until a reply is there or so many nanoseconds have passed.
    fn sleep(&self, longest: u64) -> io::Result<()> {
        let sockets = self.ports.iter().map(|port| PollFd::new(port.socket.as_fd(), PollFlags::POLLIN));
        let mut sockets: Vec<PollFd<'_>> = sockets.collect();
        let longest = TimeSpec::nanoseconds(i64::try_from(longest).unwrap_or(i64::MAX));
        match ppoll(&mut sockets, Some(longest), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
