//! What is one line of a call stack?

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

/// A function in which a task is suspended, or an await of this library. asyncio's class of that
/// name holds a frame object.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let graph = selvedge::capture_call_graph(None, None)?.expect("it runs in a task");
/// for entry in graph.call_stack() {
///     println!("{} in {:?}, line {:?}", entry.function(), entry.file(), entry.line());
/// }
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FrameCallGraphEntry {
    function: Cow<'static, str>,
    is_async: bool,
    place: Option<(Cow<'static, str>, u32)>,
}

impl FrameCallGraphEntry {
    pub(super) fn of_function(name: &str, is_async: bool, place: Option<(String, u32)>) -> Self {
        let place = place.map(|(file, line)| (file.into(), line));
        FrameCallGraphEntry { function: name.to_owned().into(), is_async, place }
    }

    /// An await, or the place where a coroutine became a task.
    pub(super) fn at(name: &'static str, at: Option<&'static Location<'static>>) -> Self {
        let place = at.map(|at| (at.file().into(), at.line()));
        FrameCallGraphEntry { function: name.into(), is_async: true, place }
    }

    /// The function, with its path.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// Whether it is a coroutine, rather than a function that a coroutine has called.
    pub fn is_async(&self) -> bool {
        self.is_async
    }

    /// The file, if it is known.
    pub fn file(&self) -> Option<&str> {
        self.place.as_ref().map(|(file, _)| &**file)
    }

    /// The line of the await, if the function is suspended there; else of the call.
    pub fn line(&self) -> Option<u32> {
        self.place.as_ref().map(|(_, line)| *line)
    }
}

impl fmt::Display for FrameCallGraphEntry {
    /// As Python shows it: `File 'src/main.rs', line 3, in async demo::main()`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line)) = &self.place {
            write!(f, "File '{file}', line {line}, ")?;
        }
        let tag = if self.is_async { "async " } else { "" };
        write!(f, "in {tag}{}()", self.function)
    }
}
