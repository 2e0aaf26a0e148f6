//! How is a group of errors printed, however deep and large it is?
//!
//! Nested groups form a tree. Walking it uses a list of the open groups instead of recursion.

use std::collections::HashSet;
use std::fmt;
use std::slice;

use super::{Error, ExceptionGroup};

/// The most errors of a group that are printed, including those of nested groups: more do not help
/// a person.
const MOST: usize = 100;

/// The next step of the walk.
enum Step<'a> {
    /// The first field says whether this is the first element of its group.
    Error(bool, &'a Error),
    Group(bool, &'a ExceptionGroup),
    End,
    /// The number of the remaining errors. No error comes after it.
    Rest(bool, usize),
}

struct Walk<'a> {
    /// The position in each open group, and whether the walk has returned any element of it.
    open: Vec<(slice::Iter<'a, Error>, bool)>,
    left: usize,
}

impl<'a> Walk<'a> {
    fn through(group: &'a ExceptionGroup) -> Walk<'a> {
        Walk { open: vec![(group.exceptions().iter(), false)], left: MOST }
    }

    fn next(&mut self) -> Option<Step<'a>> {
        let (errors, has_begun) = self.open.last_mut()?;
        let Some(error) = errors.next() else {
            self.open.pop();
            return Some(Step::End);
        };
        let is_first = !std::mem::replace(has_begun, true);
        if self.left == 0 {
            let others = self.open.iter().flat_map(|(errors, _)| errors.as_slice());
            let rest = count(others.chain([error]));
            // From here on the walk only returns the ends of the open groups.
            self.open.iter_mut().for_each(|(errors, _)| *errors = [].iter());
            return Some(Step::Rest(is_first, rest));
        }
        self.left -= 1;
        Some(match error.downcast_ref::<ExceptionGroup>() {
            Some(group) => {
                self.open.push((group.exceptions().iter(), false));
                Step::Group(is_first, group)
            }
            None => Step::Error(is_first, error),
        })
    }
}

/// Counts the errors, including those that they contain. An error that occurs several times counts
/// once: otherwise groups that share errors would take exponential time.
fn count<'a>(errors: impl Iterator<Item = &'a Error>) -> usize {
    let mut known = HashSet::new();
    let mut open: Vec<_> = errors.collect();
    let mut count = 0;
    while let Some(error) = open.pop() {
        if error.address().is_some_and(|address| !known.insert(address)) {
            continue;
        }
        count += 1;
        if let Some(group) = error.downcast_ref::<ExceptionGroup>() {
            open.extend(group.exceptions());
        }
    }
    count
}

pub(super) fn display(group: &ExceptionGroup, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write_head(group, f)?;
    let mut walk = Walk::through(group);
    while let Some(step) = walk.next() {
        match step {
            Step::Error(_, error) => write!(f, "; {error}")?,
            Step::Group(_, group) => {
                f.write_str("; ")?;
                write_head(group, f)?;
            }
            Step::Rest(_, count) => write!(f, "; and {count} more")?,
            Step::End => {}
        }
    }
    Ok(())
}

fn write_head(group: &ExceptionGroup, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let count = group.exceptions().len();
    let noun = if count == 1 { "sub-exception" } else { "sub-exceptions" };
    write!(f, "{} ({count} {noun})", group.message())
}

pub(super) fn debug(group: &ExceptionGroup, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let comma = |is_first| if is_first { "" } else { ", " };
    write!(f, "ExceptionGroup({:?}, [", group.message())?;
    let mut walk = Walk::through(group);
    while let Some(step) = walk.next() {
        match step {
            Step::Error(is_first, error) => write!(f, "{}{error:?}", comma(is_first))?,
            Step::Group(is_first, group) => {
                write!(f, "{}ExceptionGroup({:?}, [", comma(is_first), group.message())?;
            }
            Step::Rest(is_first, count) => write!(f, "{}and {count} more", comma(is_first))?,
            Step::End => f.write_str("])")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(errors: impl IntoIterator<Item = Error>) -> Error {
        ExceptionGroup::new("some", errors.into_iter().collect()).into()
    }

    #[test]
    fn a_small_tree_is_printed_whole() {
        let error =
            group([Error::msg("a"), group([Error::msg("b"), Error::msg("c")]), group([]), Error::msg("d")]);
        assert_eq!(
            format!("{error:?}"),
            r#"ExceptionGroup("some", ["a", ExceptionGroup("some", ["b", "c"]), ExceptionGroup("some", []), "d"])"#
        );
        assert_eq!(
            error.to_string(),
            "some (4 sub-exceptions); a; some (2 sub-exceptions); b; c; some (0 sub-exceptions); d"
        );
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let wide = group((0..MOST + 3).map(Error::msg));
        assert!(wide.to_string().ends_with("; 99; and 3 more"), "{wide}");
        assert!(format!("{wide:?}").ends_with(r#", "99", and 3 more])"#), "{wide:?}");
        let deep = (0..1000).fold(Error::msg("bottom"), |inner, _| group([inner, Error::msg("beside")]));
        // All of the 1,000 groups except the outermost, and 1,001 other errors, minus those that
        // were printed.
        assert!(deep.to_string().ends_with(&format!("; and {} more", 999 + 1001 - MOST)), "{deep}");
        let text = format!("{deep:?}");
        assert_eq!(text.matches("ExceptionGroup(").count(), text.matches("])").count(), "{text}");
    }

    #[test]
    fn errors_that_are_shared_count_once() {
        let shared = (0..1000).fold(Error::msg("bottom"), |inner, _| group([inner.clone(), inner]));
        assert!(shared.to_string().contains("; and "), "{shared}");
    }
}
