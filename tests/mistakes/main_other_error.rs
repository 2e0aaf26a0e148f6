#[selvedge::main]
async fn main() -> Result<(), std::io::Error> {
    Ok(())
}

// The compiler says:
//
//     a coroutine returns `selvedge::Result<T>`, and this one returns `Result<(), std::io::Error>`
//     main_other_error.rs:2:47
