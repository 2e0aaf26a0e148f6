//! In which order are the runtimes measured, and how are the numbers shown?

mod contender;
mod rounds;
mod table;

pub use self::contender::Contender;
pub(crate) use self::rounds::rotated;
pub use self::rounds::{Entry, Measured, all_entries, watchdog_cost};
pub use self::table::{Line, Verdict, lines, print, to_json};
pub(crate) use self::table::{align, number};
