//! Which call stack does a capture show for a task?

use selvedge::{
    Activity, Error, FrameCallGraphEntry, Result, Runner, Task, capture_call_graph, create_task,
    current_task, get_running_loop, sleep,
};
use selvedge_tests::{LONG, settle};

use crate::{functions, graph_of};

async fn outer() -> Result<()> {
    middle().await
}

async fn middle() -> Result<()> {
    let _held = String::new();
    inner().await
}

async fn inner() -> Result<()> {
    sleep(LONG).await
}

/// The line of this file that contains `await_`.
fn line_of(await_: &str) -> u32 {
    let before = include_str!("stacks.rs").split(await_).next().expect("there is a first part");
    before.lines().count().try_into().expect("this file is short")
}

fn lines(entries: &[FrameCallGraphEntry]) -> Vec<u32> {
    entries.iter().map(|entry| entry.line().expect("its line is known")).collect()
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_suspended_task_names_its_coroutines_and_the_lines_of_their_awaits() -> Result<()> {
    let task = create_task(outer());
    settle().await?;
    let graph = graph_of(&task)?;
    assert_eq!(graph.activity(), Activity::Suspended);
    assert_eq!(functions(&graph), ["sleep", "inner", "middle", "outer"]);
    let (sleeps, awaits_inner, awaits_middle) =
        (line_of("sleep(LONG).await\n"), line_of("inner().await\n"), line_of("middle().await\n"));
    assert_eq!(lines(graph.call_stack()), [sleeps, sleeps, awaits_inner, awaits_middle]);
    assert!(graph.call_stack().iter().all(FrameCallGraphEntry::is_async));
    assert!(
        graph.call_stack().iter().all(|entry| entry.file().is_some_and(|file| file.ends_with("stacks.rs")))
    );
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_task_that_goes_on_shows_where_it_has_got_to() -> Result<()> {
    async fn second() -> Result<()> {
        settle().await
    }
    let task = create_task(async {
        settle().await?;
        settle().await?;
        second().await
    });
    sleep(selvedge_tests::MOMENT / 2).await?;
    assert!(!functions(&graph_of(&task)?).contains(&"second"));
    sleep(2 * selvedge_tests::MOMENT).await?;
    assert!(functions(&graph_of(&task)?).contains(&"second"));
    task.await
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_limit_keeps_the_nearest_or_the_outermost() -> Result<()> {
    let task = create_task(outer());
    settle().await?;
    let all = graph_of(&task)?;
    for (limit, expected) in [(2, 0..2), (0, 0..0), (-1, 3..4), (99, 0..4), (-99, 0..4), (isize::MIN, 0..4)] {
        let limited = capture_call_graph(&task, limit)?.expect("it was named");
        assert_eq!(limited.call_stack(), &all.call_stack()[expected], "{limit}");
    }
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_stack_ends_with_the_await() -> Result<()> {
    let task = create_task(outer());
    settle().await?;
    let mut innermost_first = task.get_stack(None);
    innermost_first.reverse();
    assert_eq!(innermost_first, graph_of(&task)?.call_stack());
    assert_eq!(task.get_stack(1), task.get_stack(None)[3..], "the newest one");
    assert!(task.get_stack(0).is_empty());
    let mut text = Vec::new();
    task.print_stack(2, &mut text)?;
    let text = String::from_utf8(text)?;
    assert!(text.starts_with("Stack for <Task pending"), "{text}");
    assert!(text.lines().count() == 3 && text.trim_end().ends_with("in async selvedge::sleep()"), "{text}");
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn what_is_over_has_no_stack_unless_it_failed() -> Result<()> {
    let succeeded = create_task(async { Ok(()) });
    let failed: Task<()> = create_task(async { Err(Error::msg("no")) });
    let cancelled = create_task(outer());
    settle().await?;
    cancelled.cancel();
    settle().await?;
    assert!(succeeded.get_stack(None).is_empty() && cancelled.get_stack(None).is_empty());
    assert_eq!(failed.get_stack(None).len(), 1, "what it ran, and where it was made");
    assert!(failed.exception()?.is_some());
    let graph = graph_of(&succeeded)?;
    assert_eq!(
        (graph.activity(), graph.call_stack().len(), graph.awaited_by().len()),
        (Activity::Done, 0, 0)
    );
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn the_task_that_asks_is_shown_as_it_stands() -> Result<()> {
    fn ask() -> Result<selvedge::FutureCallGraph> {
        Ok(capture_call_graph(None, None)?.expect("it runs in a task"))
    }
    async fn asks() -> Result<()> {
        let graph = ask()?;
        assert_eq!(graph.future().task(), current_task().as_ref());
        assert_eq!(graph.activity(), Activity::Asking);
        assert_eq!(functions(&graph)[..2], ["ask", "asks"]);
        assert!(!graph.call_stack()[0].is_async() && graph.call_stack()[1].is_async());
        assert!(!functions(&graph).contains(&"poll"), "the machinery is left out: {graph}");
        Ok(())
    }
    create_task(asks()).await
}

#[test]
fn without_a_task_there_is_nothing_to_show() {
    assert_eq!(capture_call_graph(None, None).unwrap_err().to_string(), "no running event loop");
    let runner = Runner::builder().workers(1).build().unwrap();
    let shown = runner.run(async {
        let shown = get_running_loop()?.create_future();
        let ours = shown.clone();
        get_running_loop()?.call_soon(move || {
            let graph = capture_call_graph(None, None).map(|graph| graph.is_none());
            let text = selvedge::format_call_graph(None, None);
            ours.set_result((graph.unwrap(), text.unwrap())).unwrap();
        });
        shown.await
    });
    assert_eq!(shown.unwrap(), (true, String::new()));
}

#[selvedge::test(workers = 1, virtual_time)]
async fn awaits_side_by_side_are_all_shown() -> Result<()> {
    let other = create_task(outer());
    let task = create_task(async { futures_util::try_join!(sleep(LONG), other).map(drop) });
    settle().await?;
    assert_eq!(functions(&graph_of(&task)?)[..2], ["sleep", "Task"]);
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn what_stands_around_an_await_is_shown_too() -> Result<()> {
    let task = create_task(async {
        selvedge::timeout(LONG, async |_| selvedge::wait_for(inner(), LONG).await).await
    });
    let foreign = create_task(async { selvedge::cancellable(selvedge_tests::foreign()).await });
    settle().await?;
    let graph = graph_of(&task)?;
    assert_eq!(functions(&graph)[..3], ["sleep", "wait_for", "timeout"]);
    assert_eq!(functions(&graph_of(&foreign)?)[0], "cancellable");
    Ok(())
}

/// A foreign future cannot be probed. The graph then shows the coroutine, and the place where it
/// became a task.
#[selvedge::test(workers = 1, virtual_time)]
async fn an_await_of_another_crate_shows_the_coroutine() -> Result<()> {
    async fn waits_elsewhere() -> Result<()> {
        selvedge_tests::foreign().await;
        Ok(())
    }
    let made_at = line!() + 1;
    let task = create_task(waits_elsewhere());
    settle().await?;
    let graph = graph_of(&task)?;
    let [coroutine] = graph.call_stack() else { panic!("{graph}") };
    assert!(coroutine.function().contains("waits_elsewhere"), "{graph}");
    assert_eq!(coroutine.line(), Some(made_at));
    Ok(())
}
