#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    selvedge::task_group(async |tg| {
        tg.create_task(async { Ok(1) });
    })
    .await
}

// The compiler says:
//
//     group_no_result.rs:3:37
//     expected `Result<_, selvedge::Error>`, found `()`
