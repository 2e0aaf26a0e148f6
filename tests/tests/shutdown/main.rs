//! Does a loop end within its time limit, whatever its tasks and threads do meanwhile?

mod chains;
mod hand_ins;
mod limits;
mod reports;
