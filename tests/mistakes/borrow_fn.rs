async fn length(text: &str) -> selvedge::Result<usize> {
    Ok(text.len())
}

fn main() {
    let local = String::new();
    selvedge::create_task(length(&local));
}

// The compiler says:
//
//     `local` does not live long enough
//     borrow_fn.rs:7:34
//     `local` is borrowed for `'static`
//     C: Coroutine
