#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    selvedge::wait([async { Ok(1) }]).await?;
    Ok(())
}

// The compiler says:
//
//     cannot be waited for
//     make a coroutine a task with `create_task`
