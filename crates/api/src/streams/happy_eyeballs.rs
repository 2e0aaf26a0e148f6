//! Which of several addresses answers a connection attempt first?

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Result;
use crate::net::{Failures, TcpStream};
use crate::waiting::{Sleep, sleep};

type Attempt = Pin<Box<dyn Future<Output = Result<TcpStream>> + Send>>;

/// Tries the addresses in turn. The next attempt starts as soon as the one before has failed or has
/// not answered for `delay`. The first to answer wins, and the other attempts are dropped.
pub(super) async fn connect(addrs: Vec<SocketAddr>, delay: Duration) -> Result<TcpStream> {
    let mut race = Race {
        waiting: interleaved(addrs).into(),
        running: Vec::new(),
        next: sleep(delay),
        delay,
        failures: Failures::default(),
    };
    poll_fn(|cx| race.poll(cx)).await
}

struct Race {
    waiting: VecDeque<SocketAddr>,
    running: Vec<Attempt>,
    /// Ends when it is time to try the next address.
    next: Sleep,
    delay: Duration,
    failures: Failures,
}

impl Race {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<TcpStream>> {
        loop {
            let mut has_failed = false;
            let mut index = 0;
            while index < self.running.len() {
                match self.running[index].as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        has_failed = true;
                        self.failures.note(error)?;
                        drop(self.running.remove(index));
                    }
                    Poll::Pending => index += 1,
                }
            }
            if self.waiting.is_empty() && self.running.is_empty() {
                return Poll::Ready(Err(std::mem::take(&mut self.failures).into_error()));
            }
            let is_due = self.running.is_empty()
                || has_failed
                || !self.waiting.is_empty() && self.poll_delay(cx)?.is_ready();
            match is_due.then(|| self.waiting.pop_front()).flatten() {
                Some(addr) => {
                    self.running.push(Box::pin(TcpStream::connect(addr)));
                    self.next = sleep(self.delay);
                }
                None => return Poll::Pending,
            }
        }
    }

    fn poll_delay(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>> {
        match Pin::new(&mut self.next).poll(cx) {
            Poll::Ready(slept) => slept.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}

/// Alternates the two families, beginning with that of the first address; asyncio's `interleave=1`.
fn interleaved(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addrs.first() else { return addrs };
    let (one, other): (Vec<_>, Vec<_>) =
        addrs.iter().copied().partition(|addr| addr.is_ipv6() == first.is_ipv6());
    let mut both = [one.into_iter(), other.into_iter()];
    let mut ordered = Vec::with_capacity(addrs.len());
    while ordered.len() < addrs.len() {
        ordered.extend(both.iter_mut().filter_map(Iterator::next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let given = ["[::1]:1", "[::1]:2", "[::1]:3", "1.1.1.1:4", "1.1.1.1:5"].map(addr);
        let ordered = ["[::1]:1", "1.1.1.1:4", "[::1]:2", "1.1.1.1:5", "[::1]:3"].map(addr);
        assert_eq!(interleaved(given.to_vec()), ordered);
        assert_eq!(interleaved(Vec::new()), []);
    }
}
