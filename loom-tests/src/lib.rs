//! selvedge-loom-tests
