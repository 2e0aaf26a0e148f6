#[selvedge::main]
async fn main() -> selvedge::Result<()> {
    let local = String::new();
    selvedge::task_group(async |tg| {
        tg.create_task(async { Ok(local.len()) });
        Ok(())
    })
    .await
}

// The compiler says:
//
//     `local` does not live long enough
//     `local` is borrowed for `'static`
