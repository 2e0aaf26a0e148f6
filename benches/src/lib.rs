//! selvedge-benches
