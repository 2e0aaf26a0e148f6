//! Ending a task group from within, by a task that fails. (`cancel_task_group` is shorter.)

use std::fmt;
use std::time::Duration;

use selvedge as asyncio;

/// Raised to terminate a task group.
#[derive(Debug)]
struct TerminateTaskGroup;

impl fmt::Display for TerminateTaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task group is to end")
    }
}

impl std::error::Error for TerminateTaskGroup {}

/// Used to force termination of a task group.
async fn force_terminate_task_group() -> asyncio::Result<()> {
    Err(TerminateTaskGroup)?
}

async fn job(task_id: u32, sleep_time: Duration) -> asyncio::Result<()> {
    println!("Task {task_id}: start");
    asyncio::sleep(sleep_time).await?;
    println!("Task {task_id}: done");
    Ok(())
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let jobs = asyncio::task_group(async |group| {
        // Some tasks; one of them needs longer than the group lasts.
        group.create_task(job(1, Duration::from_millis(500)));
        group.create_task(job(2, Duration::from_millis(1500)));
        // Sleep for a second.
        asyncio::sleep(Duration::from_secs(1)).await?;
        // A task that forces the group to end.
        group.create_task(force_terminate_task_group());
        Ok(())
    })
    .await;

    // Python writes this as `except* TerminateTaskGroup: pass`.
    match jobs {
        Err(error) if is_termination(&error) => Ok(()),
        other => other,
    }
}

fn is_termination(error: &asyncio::Error) -> bool {
    let Some(group): Option<&asyncio::ExceptionGroup> = error.downcast_ref() else { return false };
    group.exceptions().iter().all(|error| matches!(error.downcast_ref(), Some(TerminateTaskGroup)))
}

// Expected output:
//
//     Task 1: start
//     Task 2: start
//     Task 1: done
