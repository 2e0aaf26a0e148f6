fn main() {
    selvedge::create_task(async {
        selvedge::sleep(std::time::Duration::ZERO).await?;
    });
}

// The compiler says:
//
//     a coroutine returns `selvedge::Result<T>`, and this one returns `()`
//     no_result_unit.rs:2:27
//     let an `async` block end with `Ok(..)`, and an `async fn` return `selvedge::Result<T>`
//     required by a bound in `create_task`
