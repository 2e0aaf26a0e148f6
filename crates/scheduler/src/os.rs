//! What do our threads ask of the operating system?

/// Prepares a thread that may wait for timers: Linux delays wake-ups by 50 µs unless told that this is too much.
#[cfg(target_os = "linux")]
pub(crate) fn prepare_thread() {
    /// The smallest slack; zero would mean the default.
    const SLACK_NANOS: std::num::NonZeroU64 = std::num::NonZeroU64::new(1).expect("one is not zero");
    // Without it timers are late by the slack, nothing worse.
    let _ = rustix::thread::set_current_timer_slack(Some(SLACK_NANOS));
}

/// Other systems have no such knob.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prepare_thread() {}
