//! Is the code on the project's own pages true? Here it is tested like that of any item, without becoming a page of this crate.

#[doc = include_str!("../../../README.md")]
struct Readme;

#[doc = include_str!("../../../docs/guide.md")]
struct Guide;

#[doc = include_str!("../../../docs/from-asyncio.md")]
struct FromAsyncio;

#[doc = include_str!("../../../docs/from-tokio.md")]
struct FromTokio;
