//! The system call `sched_setattr`, by which a thread gets its slice.

use nix::libc;
use rustix::process::Pid;

/// Sets the niceness and the slice, in nanoseconds, of a thread of this process. Zero stands for the usual
/// slice. False: the system refuses both.
pub(super) fn set(thread: Pid, niceness: i32, slice: u64) -> bool {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: 0,
        // Also in a program that was started with another policy.
        sched_flags: libc::SCHED_FLAG_KEEP_POLICY as u64,
        sched_nice: niceness.min(19),
        sched_priority: 0,
        sched_runtime: slice,
        sched_deadline: 0,
        sched_period: 0,
    };
    let (thread, flags) = (thread.as_raw_nonzero().get(), 0_u32);
    // SAFETY: The call takes a thread's number, a pointer to the attributes, and flags, in this order.
    // Before it returns, it reads `size` bytes there, which are the whole struct, and it keeps no pointer.
    // It writes no memory of this program. For a number of no thread it returns an error.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setattr, thread, std::ptr::from_ref(&attributes), flags) };
    result == 0
}
