fn main() {
    selvedge::create_task(|| Ok(1));
}

// The compiler says:
//
//     ` is not a coroutine
//     closure.rs:2:27
//     a function or closure is none: call it, or write `async { … }`
