"""Who awaits whom: CPython has it since 3.14."""

import asyncio
import re

from recorder import HOUR, pause, scenario


def awaiters(future):
    """The names of those who await it. CPython keeps them in a set."""
    graph = asyncio.capture_call_graph(future)
    return sorted(awaiter.future.get_name() for awaiter in graph.awaited_by)


def text(future):
    """Without call stacks, and without the addresses."""
    return re.sub("0x[0-9a-f]+", "…", asyncio.format_call_graph(future, limit=0)).splitlines()


def sleeper(name="inner"):
    return asyncio.create_task(asyncio.sleep(HOUR), name=name)


def graph(rows, *expected):
    return scenario(rows, since=(3, 14), expected=expected)


async def cancelled(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@graph("I3", '5 inner: ["outer"]', "5 outer: []", "5 after: []")
async def a_task_is_awaited_by_the_one_that_awaits_it(t):
    async def outer():
        await inner

    inner = sleeper()
    task = asyncio.create_task(outer(), name="outer")
    await pause(5)
    t.value("inner", awaiters(inner))
    t.value("outer", awaiters(task))
    await cancelled(task)
    t.value("after", [] if inner.done() else awaiters(inner))


@graph("I3", '5 first: ["outer"]', '5 second: ["outer"]')
async def gathered_tasks_are_awaited(t):
    async def outer():
        await asyncio.gather(first, second)

    first, second = sleeper(), sleeper()
    task = asyncio.create_task(outer(), name="outer")
    await pause(5)
    t.value("first", awaiters(first))
    t.value("second", awaiters(second))
    await cancelled(task, first, second)


@graph("I3", '5 inner: ["first", "second"]')
async def several_wait_for_one_task(t):
    async def outer():
        await asyncio.wait([inner])

    inner = sleeper()
    tasks = [asyncio.create_task(outer(), name=name) for name in ("first", "second")]
    await pause(5)
    t.value("inner", awaiters(inner))
    await cancelled(inner, *tasks)


@graph("I3", '5 inner: ["outer"]', "5 after: []")
async def a_shielded_task_is_awaited_until_its_awaiter_goes(t):
    async def outer():
        await asyncio.shield(inner)

    inner = sleeper()
    task = asyncio.create_task(outer(), name="outer")
    await pause(5)
    t.value("inner", awaiters(inner))
    await cancelled(task)
    t.value("after", awaiters(inner))
    await cancelled(inner)


@graph("I3", '5 inner: ["owner"]')
async def the_tasks_of_a_group_are_awaited_by_its_owner(t):
    inner = None

    async def owner():
        nonlocal inner
        async with asyncio.TaskGroup() as tg:
            inner = tg.create_task(asyncio.sleep(HOUR))
            await asyncio.sleep(HOUR)

    task = asyncio.create_task(owner(), name="owner")
    await pause(5)
    t.value("inner", awaiters(inner))
    await cancelled(task)


@graph("I3", '5 future: ["first", "second"]', "5 after: []")
async def a_future_is_awaited_by_several(t):
    async def outer():
        await future

    future = asyncio.get_running_loop().create_future()
    tasks = [asyncio.create_task(outer(), name=name) for name in ("first", "second")]
    await pause(5)
    t.value("future", awaiters(future))
    future.set_result(None)
    await asyncio.wait(tasks)
    t.value("after", awaiters(future))


@graph("I3", '5 inner: ["outer"]')
async def a_deadline_does_not_hide_who_awaits(t):
    async def outer():
        async with asyncio.timeout(HOUR):
            await inner

    inner = sleeper()
    task = asyncio.create_task(outer(), name="outer")
    await pause(5)
    t.value("inner", awaiters(inner))
    await cancelled(task)


@graph("I4", "0 callback: true")
async def a_callback_has_no_graph(t):
    done = asyncio.get_running_loop().create_future()

    def callback():
        t.value("callback", asyncio.capture_call_graph() is None and asyncio.format_call_graph() == "")
        done.set_result(None)

    asyncio.get_running_loop().call_soon(callback)
    await done


@graph("I4", "0 thread: misuse")
async def outside_of_a_loop_somebody_must_be_named(t):
    t.loop.threads += 1
    await asyncio.to_thread(t.attempt, "thread", asyncio.capture_call_graph)
    t.loop.threads -= 1


@graph("I4", "0 itself: true", "0 stack: true", "0 none: 0")
async def a_task_asks_about_itself(t):
    graph = asyncio.capture_call_graph()
    t.value("itself", graph.future is asyncio.current_task())
    t.value("stack", len(graph.call_stack) > 0)
    t.value("none", len(asyncio.capture_call_graph(limit=0).call_stack))


@graph(
    "I4",
    "5 * Future(id=…)",
    "5   + Awaited by:",
    "5     * Task(name='reader', id=…)",
    "5       + Awaited by:",
    "5         * Task(name='top', id=…)",
)
async def a_graph_without_stacks_as_text(t):
    async def reader():
        await future

    async def top(reads):
        await asyncio.gather(reads, asyncio.sleep(HOUR))

    future = asyncio.get_running_loop().create_future()
    reads = asyncio.create_task(reader(), name="reader")
    task = asyncio.create_task(top(reads), name="top")
    await pause(5)
    for line in text(future):
        t.tell(line)
    await cancelled(task)


@graph("I5", '5 added: ["waiter"]', "5 discarded: []")
async def own_primitives_say_who_waits(t):
    waiter = sleeper("waiter")
    future = asyncio.get_running_loop().create_future()
    await pause(5)
    asyncio.future_add_to_awaited_by(future, waiter)
    asyncio.future_add_to_awaited_by(future, waiter)
    t.value("added", awaiters(future))
    asyncio.future_discard_from_awaited_by(future, waiter)
    asyncio.future_discard_from_awaited_by(future, waiter)
    t.value("discarded", awaiters(future))
    await cancelled(waiter)
