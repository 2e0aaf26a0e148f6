//! selvedge-tests
