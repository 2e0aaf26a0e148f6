//! May a type's number be asked for when the program is compiled?

use std::env;
use std::process::Command;

/// `TypeId::of` is a `const fn` from this minor version of Rust 1 on.
const CONST_TYPE_ID: u32 = 91;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(selvedge_const_type_id)");
    // A version that cannot be read counts as an old one: the program is the same, a little slower.
    if minor_version().is_some_and(|minor| minor >= CONST_TYPE_ID) {
        println!("cargo::rustc-cfg=selvedge_const_type_id");
    }
}

/// The second number of `rustc 1.95.0 (…)`.
fn minor_version() -> Option<u32> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    version.split('.').nth(1)?.parse().ok()
}
