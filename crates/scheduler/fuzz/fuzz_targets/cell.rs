//! Can a string of bytes take a task's cell to a state that it must not reach?
//!
//! The programs are those of `tests/cell_programs.rs`, whose `any_bytes` runs them without a fuzzer.
#![no_main]

#[path = "../../tests/cell_program/mod.rs"]
mod cell_program;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cell_program::run(bytes));
