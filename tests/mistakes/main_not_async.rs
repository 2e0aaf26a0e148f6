#[selvedge::main]
fn main() {}

// The compiler says:
//
//     this needs an `async fn`: write `async` before `fn`
//     main_not_async.rs:2:1
