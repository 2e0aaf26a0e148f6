//! selvedge-scheduler
