//! How does the watchdog wait for nothing to happen?
//!
//! It is to wake up when the workers have *not* come by for a while. So each that does puts the alarm off,
//! and the thread sleeps on: while a program gets on, its watchdog never wakes up.
//!
//! On Linux the alarm is a timer of the system, which any thread may set, and the watchdog's thread waits
//! until it rings. Elsewhere, or if the system refuses one, the thread sleeps for as long as the alarm was
//! set to at first, finds that it was put off meanwhile, and sleeps on.

use std::time::Duration;

use crate::clock::nanos;
use crate::parker::Parker;
use crate::sync::{AtomicBool, HintU64, Instant, Ordering};

use self::timer::Timer;

/// One thread waits for it, and any thread may set it.
pub(crate) struct Alarm {
    timer: Option<Timer>,
    /// `ring` was called, and the thread has not noticed yet: nobody puts the alarm off.
    is_ringing: AtomicBool,
    /// Without a timer: when it rings, in nanoseconds since `origin`.
    due: HintU64,
    origin: Instant,
    parker: Parker,
}

impl Alarm {
    /// An alarm that is not set. Without `is_used`, none will wait for it.
    pub(crate) fn new(is_used: bool) -> Self {
        Self {
            timer: if is_used { Timer::new() } else { None },
            is_ringing: AtomicBool::new(false),
            due: HintU64::new(u64::MAX),
            origin: Instant::now(),
            parker: Parker::new(),
        }
    }

    /// Makes the calling thread the one that waits here.
    pub(crate) fn occupy(&self) {
        self.parker.occupy();
    }

    /// It rings after this time, and not when it was to ring before.
    pub(crate) fn set(&self, after: Duration) {
        if !self.is_ringing() {
            self.set_timer(after);
            self.wake_if_without_timer();
        }
    }

    /// As `set`, if it was to ring earlier, or for the thread that waits here.
    pub(crate) fn put_off(&self, after: Duration) {
        if !self.is_ringing() {
            self.set_timer(after);
        }
    }

    fn wake_if_without_timer(&self) {
        if self.timer.is_none() {
            self.parker.unpark();
        }
    }

    fn set_timer(&self, after: Duration) {
        match &self.timer {
            Some(timer) => timer.set(after),
            // Relaxed: it publishes nothing.
            None => self.due.store(self.now().saturating_add(nanos(after)), Ordering::Relaxed),
        }
    }

    /// It rings at once; or when it is due, if another thread puts it off at this moment.
    pub(crate) fn ring(&self) {
        // Ordering: the release half pairs with the acquire half in `wait`. The thread sees what was done
        // before this call, also if another call has set the flag.
        if !self.is_ringing.swap(true, Ordering::AcqRel) {
            self.set_timer(Duration::ZERO);
            self.wake_if_without_timer();
        }
    }

    /// As `ring`, where an earlier call may have been lost.
    pub(crate) fn ring_again(&self) {
        self.is_ringing.store(true, Ordering::Relaxed);
        self.set_timer(Duration::ZERO);
        self.wake_if_without_timer();
    }

    /// `ring` was called, and the thread has not noticed yet.
    pub(crate) fn is_ringing(&self) -> bool {
        self.is_ringing.load(Ordering::Relaxed)
    }

    /// It does not ring before it is set. If `ring` is called at this moment, that may be lost: then
    /// `is_ringing` says so after a fence. For the thread that waits.
    pub(crate) fn stop(&self) {
        match &self.timer {
            Some(timer) => timer.stop(),
            None => self.due.store(u64::MAX, Ordering::Relaxed),
        }
    }

    /// Waits until it rings; may return early.
    pub(crate) fn wait(&self) {
        match &self.timer {
            Some(timer) => timer.wait(),
            None => self.wait_without_timer(),
        }
        // Ordering: as in `ring`.
        self.is_ringing.swap(false, Ordering::AcqRel);
    }

    fn wait_without_timer(&self) {
        loop {
            let due = self.due.load(Ordering::Relaxed);
            let rest = due.saturating_sub(self.now());
            let limit = (due < u64::MAX).then(|| Duration::from_nanos(rest));
            if rest == 0 || self.parker.park(limit) {
                return;
            }
        }
    }

    /// For models: without a timer, whether it was set by another thread.
    #[cfg(selvedge_loom)]
    pub(crate) fn take_token(&self) -> bool {
        self.is_ringing.swap(false, Ordering::AcqRel);
        self.parker.take_token()
    }

    fn now(&self) -> u64 {
        nanos(self.origin.elapsed())
    }
}

#[cfg(all(target_os = "linux", not(selvedge_loom)))]
mod timer {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    /// A timer of the system.
    pub(super) struct Timer(OwnedFd);

    impl Timer {
        pub(super) fn new() -> Option<Self> {
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).ok().map(Self)
        }

        pub(super) fn set(&self, after: Duration) {
            // Zero would stop it.
            self.set_to(after.max(Duration::from_nanos(1)));
        }

        pub(super) fn stop(&self) {
            self.set_to(Duration::ZERO);
        }

        fn set_to(&self, after: Duration) {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let Ok(value) = Timespec::try_from(after) else { return };
            // Refused only for values that no time has.
            let _ = timerfd_settime(
                &self.0,
                TimerfdTimerFlags::empty(),
                &Itimerspec { it_interval: zero, it_value: value },
            );
        }

        pub(super) fn wait(&self) {
            match rustix::io::read(&self.0, &mut [0; 8]) {
                // A signal may end the wait.
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // The program has closed descriptors that are not its own.
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
mod timer {
    use std::convert::Infallible;
    use std::time::Duration;

    /// There is none.
    pub(super) struct Timer(Infallible);

    impl Timer {
        pub(super) fn new() -> Option<Self> {
            None
        }

        pub(super) fn set(&self, _after: Duration) {
            match self.0 {}
        }

        pub(super) fn stop(&self) {
            match self.0 {}
        }

        pub(super) fn wait(&self) {
            match self.0 {}
        }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    /// With a timer of the system, and without.
    fn both() -> [Arc<Alarm>; 2] {
        [true, false].map(|has_timer| Arc::new(Alarm::new(has_timer)))
    }

    /// A thread that waits for the alarm again and again, and says when it rings.
    fn rings(alarm: &Arc<Alarm>) -> mpsc::Receiver<Instant> {
        let (tell, told) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let alarm = Arc::clone(alarm);
        std::thread::spawn(move || {
            alarm.occupy();
            ready.send(()).expect("the test waits");
            loop {
                alarm.wait();
                alarm.stop();
                if tell.send(Instant::now()).is_err() {
                    break;
                }
            }
        });
        is_ready.recv().expect("the thread begins");
        told
    }

    #[test]
    fn it_rings_when_it_is_due_and_not_before() {
        for alarm in both() {
            let alarm_is_due = Instant::now() + Duration::from_millis(20);
            alarm.put_off(Duration::from_millis(20));
            let rang = rings(&alarm).recv().expect("it rings");
            assert!(rang >= alarm_is_due);
        }
    }

    #[test]
    fn it_can_be_put_off_again_and_again() {
        for alarm in both() {
            let began = Instant::now();
            alarm.put_off(Duration::from_secs(3_600));
            let rang = rings(&alarm);
            for _ in 0..100 {
                alarm.put_off(Duration::from_secs(3_600));
            }
            assert!(rang.try_recv().is_err() || began.elapsed() > Duration::from_secs(3_600));
            alarm.ring();
            rang.recv_timeout(Duration::from_secs(60)).expect("it rings at once");
            drop(rang);
            alarm.ring();
        }
    }

    #[test]
    fn one_that_rings_is_not_put_off() {
        for alarm in both() {
            alarm.ring();
            alarm.put_off(Duration::from_secs(3_600));
            let rang = rings(&alarm);
            rang.recv_timeout(Duration::from_secs(60)).expect("it rings at once");
            drop(rang);
            alarm.ring();
        }
    }

    #[test]
    fn one_that_is_stopped_rings_when_it_is_set() {
        for alarm in both() {
            alarm.put_off(Duration::from_millis(1));
            alarm.stop();
            let rang = rings(&alarm);
            assert!(rang.recv_timeout(Duration::from_millis(20)).is_err());
            alarm.set(Duration::from_millis(1));
            rang.recv_timeout(Duration::from_secs(60)).expect("it rings soon");
            drop(rang);
            alarm.ring();
        }
    }
}
