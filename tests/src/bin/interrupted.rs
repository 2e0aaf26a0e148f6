//! A program that `tests/interrupt.rs` interrupts with Ctrl-C. The first argument selects how its
//! main coroutine reacts.

use std::time::Duration;

use selvedge::{KeyboardInterrupt, Result, run, sleep, task};

fn main() {
    let manner = std::env::args().nth(1).expect("a manner is given");
    let outcome = run(main_coroutine(manner.clone()));
    match &outcome {
        Ok(value) => println!("value {value}"),
        Err(error) if error.is::<KeyboardInterrupt>() => println!("interrupted"),
        Err(error) => println!("error {error:?}"),
    }
    if manner == "afterwards" {
        println!("ready");
        std::thread::sleep(Duration::from_mins(1));
        println!("still alive");
    }
}

async fn main_coroutine(manner: String) -> Result<&'static str> {
    if manner == "afterwards" {
        return Ok("at once");
    }
    // Eager, so that it has begun when Ctrl-C is pressed.
    task::Builder::new().eager_start(true).create_task(async {
        let slept = sleep(Duration::MAX).await;
        println!("task told");
        slept
    })?;
    println!("ready");
    let told = sleep(Duration::MAX).await;
    println!("told");
    match manner.as_str() {
        "gives way" => told.map(|()| "unreachable"),
        "refuses" => Ok("refused"),
        "clings" => loop {
            let _ = sleep(Duration::MAX).await;
        },
        _ => unreachable!("unknown manner"),
    }
}
