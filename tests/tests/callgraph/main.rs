//! Which task awaits which, and where is each suspended? No code records it in advance; a capture
//! probes the tasks.

mod busy;
mod edges;
mod harmless;
mod own;
mod stacks;
mod text;

use selvedge::{AnyFuture, FutureCallGraph, Result, capture_call_graph};

/// The graph of a task or future.
fn graph_of(future: impl Into<AnyFuture>) -> Result<FutureCallGraph> {
    Ok(capture_call_graph(Some(future.into()), None)?.expect("it was named"))
}

/// The names of the tasks that await the graph's own task or future.
fn awaiters(graph: &FutureCallGraph) -> Vec<String> {
    let names =
        graph.awaited_by().iter().map(|awaiter| awaiter.future().task().expect("only tasks wait").get_name());
    names.collect()
}

/// The functions of a stack, without their paths.
fn functions(graph: &FutureCallGraph) -> Vec<&str> {
    graph.call_stack().iter().map(|entry| entry.function().rsplit("::").next().unwrap_or_default()).collect()
}
