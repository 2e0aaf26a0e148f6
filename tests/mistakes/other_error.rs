async fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
    text.parse()
}

fn main() {
    selvedge::create_task(parse("1"));
}

// The compiler says:
//
//     a coroutine returns `selvedge::Result<T>`, and this one returns `Result<u32, ParseIntError>`
//     other_error.rs:6:27
//     and `Ok(other().await?)` if it can fail
