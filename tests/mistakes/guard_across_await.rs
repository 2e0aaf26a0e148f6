use std::sync::{Arc, Mutex};

async fn count(total: Arc<Mutex<u32>>) -> selvedge::Result<()> {
    let mut total = total.lock().unwrap();
    selvedge::sleep(std::time::Duration::ZERO).await?;
    *total += 1;
    Ok(())
}

fn main() {
    selvedge::create_task(count(Arc::default()));
}

// The compiler says:
//
//     cannot be sent between threads safely
//     MutexGuard
//     guard_across_await.rs:5:48
//     required by a bound in `create_task`
