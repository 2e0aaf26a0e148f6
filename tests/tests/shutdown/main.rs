//! The end of a loop: within its limit, whatever others do meanwhile.

mod chains;
mod hand_ins;
mod limits;
mod reports;
