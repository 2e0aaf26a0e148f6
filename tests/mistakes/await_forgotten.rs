#![deny(unused_must_use)]

async fn greet() -> selvedge::Result<()> {
    Ok(())
}

#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    greet();
    selvedge::sleep(std::time::Duration::ZERO);
    Ok(())
}

// The compiler says:
//
//     await_forgotten.rs:9:5
//     futures do nothing unless
//     await_forgotten.rs:10:5
//     futures do nothing unless awaited
