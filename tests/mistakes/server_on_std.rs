#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    selvedge::start_server_on(async |_, _| Ok(()), listener).await?.wait_closed().await
}

// The compiler says:
//
//     a server cannot be started on `std::net::TcpListener`
//     `net::TcpListener::from_std`
