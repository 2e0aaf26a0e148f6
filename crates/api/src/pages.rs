//! Does the code in the project's README and guides work?
//!
//! It is tested here like the examples of any item, without becoming part of this crate's docs.

#[doc = include_str!("../../../README.md")]
struct Readme;

#[doc = include_str!("../../../docs/guide.md")]
struct Guide;

#[doc = include_str!("../../../docs/from-asyncio.md")]
struct FromAsyncio;

#[doc = include_str!("../../../docs/from-tokio.md")]
struct FromTokio;
