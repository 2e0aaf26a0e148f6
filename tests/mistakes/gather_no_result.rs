async fn double(n: u32) -> u32 {
    2 * n
}

#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    selvedge::gather((double(1), double(2))).await?;
    Ok(())
}

// The compiler says:
//
//     a coroutine returns `selvedge::Result<T>`, and this one returns `u32`
//     let an `async` block end with `Ok(..)`, and an `async fn` return `selvedge::Result<T>`
