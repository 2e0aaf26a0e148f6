//! selvedge-timer-wheel
