//! Can a string of bytes make the wheel differ from an ordered map?
//!
//! The programs are those of `tests/against_model.rs`. The test `any_bytes` there runs them without
//! a fuzzer.
#![no_main]

#[path = "../../tests/model/mod.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (start, program) = model::program::decode(bytes);
    model::run(start, program);
});
