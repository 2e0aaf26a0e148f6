//! How is a graph printed? In the format of Python 3.14.

use selvedge::{Result, create_task, format_call_graph, gather, get_running_loop, print_call_graph, sleep};
use selvedge_tests::{LONG, settle};

async fn reader(future: selvedge::Future<()>) -> Result<()> {
    future.await
}

/// The text without the parts that differ from run to run: the numbers of tasks, futures and lines,
/// and the directories.
fn anonymous(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if let Some((before, after)) = line.split_once("id=0x") {
            let rest = after.trim_start_matches(|digit: char| digit.is_ascii_hexdigit());
            line = format!("{before}id=…{rest}");
        }
        if let Some((before, after)) = line.split_once("File '") {
            let (file, after) = after.split_once("', line ").expect("a line follows");
            let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
            line = format!(
                "{before}File '{name}', line {}",
                after.trim_start_matches(|c: char| c.is_ascii_digit())
            );
        }
        lines.push(line);
    }
    lines.join("\n")
}

#[selvedge::test(workers = 1, virtual_time)]
async fn the_text_is_that_of_asyncio() -> Result<()> {
    let future = get_running_loop()?.create_future();
    let reads = create_task(reader(future.clone())).named("reader");
    let top = create_task(async { gather((reads, sleep(LONG))).await.map(drop) }).named("top");
    settle().await?;
    let text = format_call_graph(&future, None)?;
    let expected = "\
* Future(id=…)
  + Awaited by:
    * Task(name='reader', id=…)
      + Call stack:
      |   File 'text.rs', line , in async selvedge::Future()
      |   File 'text.rs', line , in async callgraph::text::reader()
      + Awaited by:
        * Task(name='top', id=…)
          + Call stack:
          |   File 'text.rs', line , in async selvedge::gather()
          |   File 'text.rs', line , in async callgraph::text::the_text_is_that_of_asyncio()";
    assert_eq!(anonymous(&text), expected);
    let mut printed = Vec::new();
    print_call_graph(&future, None, &mut printed)?;
    assert_eq!(String::from_utf8(printed)?, format!("{text}\n"));
    let without_stacks = "\
* Future(id=…)
  + Awaited by:
    * Task(name='reader', id=…)
      + Awaited by:
        * Task(name='top', id=…)";
    assert_eq!(anonymous(&format_call_graph(&future, 0)?), without_stacks);
    drop(top);
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn what_cannot_be_written_is_an_error() -> Result<()> {
    let mut full: &mut [u8] = &mut [];
    let error = print_call_graph(None, None, &mut full).unwrap_err();
    assert!(error.is::<std::io::Error>());
    Ok(())
}
