//! Sockets: what arrives, what a cancellation leaves, what goes wrong. All on loopback.

mod basics;
mod cancellation;
