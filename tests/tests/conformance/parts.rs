//! Which parts do scenarios share? The twins of the recorder's coroutines.

use selvedge::{Error, Result, sleep};

use crate::trace::Trace;
use crate::{HOUR, ms, pause};

impl Trace {
    /// Sleeps, and records whether the sleep was cancelled.
    pub(crate) async fn nap<T>(self, who: &'static str, n: u64, value: T) -> Result<T> {
        if let Err(error) = pause(n).await {
            self.error(who, &error);
            return Err(error);
        }
        self.tell(format!("{who}: rested"));
        Ok(value)
    }

    /// Treats a cancellation as a wake-up.
    pub(crate) async fn stubborn<T>(self, who: &'static str, n: u64, value: T) -> Result<T> {
        if let Err(error) = pause(n).await {
            self.error(who, &error);
        }
        Ok(value)
    }

    /// Sleeps for ever; after a cancellation, cleans up for some time.
    pub(crate) async fn tidy(self, who: &'static str, n: u64) -> Result<()> {
        let slept = sleep(HOUR).await;
        if slept.is_err() {
            self.tell(format!("{who}: cleaning"));
            sleep(ms(n)).await?;
            self.tell(format!("{who}: clean"));
        }
        slept
    }
}

/// Fails after some time.
pub(crate) async fn fail<T>(n: u64, message: &'static str) -> Result<T> {
    pause(n).await?;
    Err(Error::msg(message))
}

/// Turns a cancellation into an error.
pub(crate) async fn spiteful(message: &'static str) -> Result<()> {
    sleep(HOUR).await.map_err(|_| Error::msg(message))
}
