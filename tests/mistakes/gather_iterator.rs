async fn double(n: u32) -> selvedge::Result<u32> {
    Ok(2 * n)
}

#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    selvedge::gather((0..3).map(double)).await?;
    Ok(())
}

// The compiler says:
//
//     cannot be gathered
//     expected a `Vec`, an array or a tuple of coroutines or `Task`s
//     collect an iterator first: `gather(iter.collect::<Vec<_>>())`
