use std::time::Duration;

#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    selvedge::timeout(Duration::from_secs(1), async |_cm| {
        selvedge::sleep(Duration::from_secs(2)).await?;
    })
    .await
}

// The compiler says:
//
//     timeout_no_result.rs:6:54
//     this function should return `Result` or `Option` to accept `?`
//     expected `Result<_, selvedge::Error>`, found `()`
