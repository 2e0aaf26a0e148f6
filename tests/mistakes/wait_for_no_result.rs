#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    selvedge::wait_for(std::future::ready(1), None).await?;
    Ok(())
}

// The compiler says:
//
//     wait_for_no_result.rs:3:24
//     expected `Result<_, Error>`, found integer
