//! How does a server close idle connections?
//!
//! Each connection has one timer, which every packet from the peer moves to a later deadline. Time
//! is simulated here, in milliseconds. A server would sleep until `next_deadline` or until the next
//! packet, whichever comes first.
//!
//! ```text
//! cargo run -p selvedge-timer-wheel --example connection_timeouts
//! ```

use std::collections::{BTreeMap, HashMap};

use selvedge_timer_wheel::{Key, Wheel};

const IDLE_TIMEOUT: u64 = 30_000;

struct Server {
    timeouts: Wheel<&'static str>,
    connections: HashMap<&'static str, Key>,
}

impl Server {
    fn packet(&mut self, now: u64, peer: &'static str) {
        let deadline = now + IDLE_TIMEOUT;
        let timeouts = &mut self.timeouts;
        self.connections
            .entry(peer)
            .and_modify(|&mut key| assert!(timeouts.reschedule(key, deadline)))
            .or_insert_with(|| timeouts.insert(deadline, peer));
        println!("{now:>7} ms  packet from {peer}");
    }

    fn goodbye(&mut self, now: u64, peer: &'static str) {
        if let Some(key) = self.connections.remove(peer) {
            self.timeouts.cancel(key);
            println!("{now:>7} ms  {peer} says goodbye");
        }
    }

    fn wake_up(&mut self, now: u64) {
        for idle in self.timeouts.poll(now) {
            self.connections.remove(idle.value);
            println!("{now:>7} ms  {} has been idle for too long", idle.value);
        }
    }
}

fn main() {
    let mut packets =
        BTreeMap::from([(0, "anna"), (5_000, "ben"), (20_000, "anna"), (21_000, "clara"), (40_000, "anna")]);
    let mut server = Server { timeouts: Wheel::new(0), connections: HashMap::new() };

    loop {
        let packet = packets.first_key_value().map(|(&time, _)| time);
        let timeout = server.timeouts.next_deadline();
        let Some(now) = packet.into_iter().chain(timeout).min() else { break };
        server.wake_up(now);
        if packet != Some(now) {
            continue;
        }
        let Some((_, peer)) = packets.pop_first() else { break };
        server.packet(now, peer);
        if peer == "clara" {
            server.goodbye(now, peer);
        }
    }
    println!("nobody is left");
}
