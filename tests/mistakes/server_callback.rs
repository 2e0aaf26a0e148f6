#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    let server = selvedge::start_server(async |_, _| {}, "127.0.0.1:0").await?;
    server.wait_closed().await
}

// The compiler says:
//
//     a coroutine returns `selvedge::Result<T>`, and this one returns `()`
//     server_callback.rs:3:18
//     let an `async` block end with `Ok(..)`
