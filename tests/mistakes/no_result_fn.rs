async fn greet() {
    println!("hello");
}

fn main() {
    selvedge::create_task(greet());
}

// The compiler says:
//
//     a coroutine returns `selvedge::Result<T>`, and this one returns `()`
//     no_result_fn.rs:6:27
//     let an `async` block end with `Ok(..)`, and an `async fn` return `selvedge::Result<T>`
//     await what returns something else in a block of its own: `async { Ok(other().await) }`
