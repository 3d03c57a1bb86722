//! Places where a process can be made to stop itself, so that a test can kill it exactly there.
//!
//! With `GATEPOST_STOP_AT=NAME` in the environment a debug build raises SIGSTOP when it comes to `killpoint(NAME)`.
//! A release build has none of it.

/// The files that are written beside the old one and renamed, each with the steps of [`STEPS`]: the point
/// `set-synced` lies between the fsync of a set's temporary file and its rename.
pub const FILES: [&str; 12] = [
    "seed",
    "body",
    "set",
    "anchor",
    "delta",
    "since",
    "status",
    "held",
    "held-set",
    "snapshot",
    "generation",
    "terms",
];

/// Written in the same way, but by no sync that goes well.
pub const NOT_COMPILED: &str = "not-compiled";

/// What has just been done with the temporary file.
pub const STEPS: [&str; 5] = ["created", "written", "synced", "renamed", "done"];

/// Points outside a write: before the lists are pruned, and before the snapshots are.
pub const OTHERS: [&str; 5] =
    ["log-appended", "hold-dropped", "sets-prune", "deltas-prune", "snapshots-prune"];

/// Before a person is told of a list that is held or refused, and after it.
pub const TELLING: [&str; 2] = ["trouble-written", "trouble-told"];

/// Where local decisions are written, which no sync does: after the log knows of it, after a line was appended, and while the
/// file is replaced.
pub const OVERLAY: [&str; 7] = [
    "overlay-logged",
    "overlay-appended",
    "overlay-created",
    "overlay-written",
    "overlay-synced",
    "overlay-renamed",
    "overlay-done",
];

/// The names of all points of a sync.
pub fn names() -> impl Iterator<Item = String> {
    let steps = FILES.iter().flat_map(|file| STEPS.iter().map(move |step| format!("{file}-{step}")));
    steps.chain(OTHERS.iter().map(|&name| name.to_owned()))
}

/// Stops this process when the environment asks for it here.
#[cfg(debug_assertions)]
pub fn killpoint(name: &str) {
    debug_assert!(
        name.rsplit_once('-').is_some_and(|(file, step)| {
            (FILES.contains(&file) || file == NOT_COMPILED) && STEPS.contains(&step)
        }) || OTHERS.contains(&name)
            || TELLING.contains(&name)
            || OVERLAY.contains(&name),
        "killpoint {name} is in no list"
    );
    if std::env::var_os("GATEPOST_STOP_AT").is_some_and(|wanted| wanted == name) {
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
    }
}

/// Stops this process when the environment asks for it here: not in a release build.
#[cfg(not(debug_assertions))]
pub fn killpoint(_name: &str) {}
