#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    selvedge::wait_for(std::future::ready(1), None).await?;
    Ok(())
}

// The compiler says:
//
//     a coroutine returns `selvedge::Result<T>`, and this one returns `{integer}`
//     wait_for_no_result.rs:3:24
//     await what returns something else in a block of its own: `async { Ok(other().await) }`
