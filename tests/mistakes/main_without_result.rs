#[selvedge::main]
async fn main() {
    selvedge::sleep(std::time::Duration::ZERO).await?;
}

// The compiler says:
//
//     main_without_result.rs:3:53
//     this function should return `Result` or `Option` to accept `?`
