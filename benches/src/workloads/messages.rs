//! What does a message between two tasks cost?

use std::hint::black_box;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use super::{Goal, Row, Throughput};
use crate::rival::{Rival, Spawner};

/// Tasks that repeatedly make two oneshots, spawn a partner, send it a question, await the reply,
/// and join it.
pub struct Partners;

const ASKERS: u64 = 1_000;

impl Throughput for Partners {
    const ROW: Row =
        Row { name: "1000 tasks spawn a partner, ask, join", unit: "ns/exchange", goal: Goal::Ratio(0.60) };
    const UNITS: u64 = ASKERS * 50;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let spawner = runtime.spawner();
        runtime.block_on(async move {
            let start = Instant::now();
            let asker = |_| {
                spawner.spawn(async move {
                    for question in 0..units / ASKERS {
                        exchange(spawner, question).await;
                    }
                })
            };
            let askers: Vec<_> = (0..ASKERS).map(asker).collect();
            for asker in askers {
                asker.await;
            }
            start.elapsed()
        })
    }
}

async fn exchange<S: Spawner>(spawner: S, question: u64) {
    let (ask, asked) = oneshot::channel::<u64>();
    let (reply, replied) = oneshot::channel::<u64>();
    let partner = spawner.spawn(async move {
        let question = asked.await.expect("the asker asks");
        reply.send(question + 1).expect("the asker waits");
    });
    ask.send(question).expect("the partner waits");
    assert_eq!(replied.await.expect("the partner replies"), question + 1);
    partner.await;
}

/// Producers and consumers, two by two, each pair over a bounded channel of its own.
pub struct Pairs;

const PAIRS: u64 = 50;
const CAPACITY: usize = 16;

impl Throughput for Pairs {
    const ROW: Row =
        Row { name: "50 pairs over a channel of 16", unit: "ns/message", goal: Goal::Ratio(0.90) };
    const UNITS: u64 = PAIRS * 4_000;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let spawner = runtime.spawner();
        runtime.block_on(async move {
            let start = Instant::now();
            let messages = units / PAIRS;
            let pair = |_| {
                let (sender, receiver) = async_channel::bounded(CAPACITY);
                let producer = spawner.spawn(async move {
                    for message in 0..messages {
                        sender.send(message).await.expect("the consumer takes all");
                    }
                });
                let consumer = spawner.spawn(async move {
                    while let Ok(message) = receiver.recv().await {
                        black_box(message);
                    }
                });
                (producer, consumer)
            };
            let pairs: Vec<_> = (0..PAIRS).map(pair).collect();
            for (producer, consumer) in pairs {
                producer.await;
                consumer.await;
            }
            start.elapsed()
        })
    }
}
