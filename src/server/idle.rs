//! Work that gives way: to the workers of this process, and to those of another.

use std::panic::resume_unwind;
use std::thread;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// From now on this thread, and those that it starts, have a processor when nobody else wants it, and the disk likewise (the
/// system takes the one from the other, ioprio_set(2)). Where that is not allowed the work is only less polite.
pub fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        tracing::debug!(?error, "not at idle priority");
    }
}

/// Does what may take long and read much beside the workers: in a thread of its own that gives way to everything.
pub(super) fn giving_way<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let work = || {
        give_way();
        work()
    };
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The policy of this thread, as the system tells it.
    fn policy() -> u32 {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        // Field 41 of proc_pid_stat(5); these begin with the third.
        fields.split(' ').nth(41 - 3).unwrap().parse().unwrap()
    }

    #[test]
    fn the_work_is_idle_and_whoever_waits_for_it_is_not() {
        const SCHED_IDLE: u32 = 5;
        let before = policy();
        assert_eq!(giving_way(policy), SCHED_IDLE);
        assert_eq!(policy(), before);
        let started = giving_way(|| thread::spawn(policy).join().unwrap());
        assert_eq!(started, SCHED_IDLE, "what it starts as well");
    }
}
