async fn greet() -> selvedge::Result<()> {
    Ok(())
}

fn main() {
    selvedge::create_task(greet);
}

// The compiler says:
//
//     {greet}` is not a coroutine
//     a coroutine is a future that returns `selvedge::Result<T>`, is `Send` and borrows nothing
//     a function or closure is none: call it, or write `async { … }`
