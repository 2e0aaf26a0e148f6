"""Introspection, and tasks that start at once: rows E and I."""

import asyncio
import contextvars

from recorder import Boom, pause, scenario

VAR = contextvars.ContextVar("var", default=0)


def eager(coro):
    """What `create_task(coro, eager_start=True)` does since 3.14."""
    return asyncio.Task(coro, loop=asyncio.get_running_loop(), eager_start=True)


@scenario("E1", since=(3, 12), expected=["0 body", "0 done: true", "0 result: 7"])
async def what_never_waits_is_done_at_once(t):
    async def body():
        t.tell("body")
        return 7

    task = eager(body())
    t.value("done", task.done())
    t.attempt("result", task.result)


@scenario("E1", since=(3, 12), expected=["0 body", "0 made", "10 body ends"])
async def it_runs_to_its_first_suspension(t):
    async def body():
        t.tell("body")
        await pause(10)
        t.tell("body ends")

    task = eager(body())
    t.tell("made")
    await task


@scenario("E1", since=(3, 12), expected=["0 itself: false", "0 creator again: true"])
async def it_is_a_task_of_its_own(t):
    creator = asyncio.current_task()

    async def body():
        t.value("itself", asyncio.current_task() is creator)

    eager(body())
    t.value("creator again", asyncio.current_task() is creator)


@scenario("E1", since=(3, 12), expected=["0 sees: 1", "0 creator sees: 1"])
async def it_has_a_copied_context(t):
    async def body():
        t.value("sees", VAR.get())
        VAR.set(2)

    VAR.set(1)
    eager(body())
    t.value("creator sees", VAR.get())


@scenario("E1", since=(3, 12), expected=["0 done: true", "0 task: error stored"])
async def its_error_is_stored(t):
    async def body():
        raise Boom("stored")

    task = eager(body())
    t.value("done", task.done())
    await t.outcome("task", task)


@scenario("E1", since=(3, 12), expected=["0 all tasks: 1"])
async def a_finished_one_is_not_listed(t):
    async def body():
        pass

    eager(body())
    t.value("all tasks", len(asyncio.all_tasks()))


@scenario("E1", since=(3, 12), expected=["0 cancel: true", "0 task: cancelled why"])
async def it_is_cancelled_like_any_other(t):
    task = eager(pause(60_000))
    t.value("cancel", task.cancel("why"))
    await t.outcome("task", task)


@scenario("E2", since=(3, 12), expected=["0 gather: [1, 2]", "0 not suspended"])
async def gathering_what_is_done_does_not_suspend(t):
    async def body(n):
        return n

    other = asyncio.create_task(t.nap("other", 1))
    await t.outcome("gather", asyncio.gather(eager(body(1)), eager(body(2))))
    t.tell("not suspended")
    other.cancel()


@scenario("I1")
async def the_current_task_is_the_running_one(t):
    async def body():
        return asyncio.current_task()

    task = asyncio.create_task(body())
    t.value("the child", await task is task)
    t.value("not main", task is not asyncio.current_task())


@scenario("I1")
async def no_task_runs_in_a_callback(t):
    asyncio.get_running_loop().call_soon(lambda: t.value("none", asyncio.current_task() is None))
    await pause(1)


@scenario("I1")
async def all_tasks_are_those_that_are_not_done(t):
    t.value("main only", len(asyncio.all_tasks()))
    tasks = [asyncio.create_task(pause(n)) for n in (10, 20)]
    t.value("before they start", len(asyncio.all_tasks()))
    await pause(15)
    t.value("one has ended", len(asyncio.all_tasks()))
    await pause(15)
    t.value("both have ended", len(asyncio.all_tasks()))
    t.value("kept", len(tasks))


@scenario("I1")
async def a_cancelled_task_is_listed_until_it_ends(t):
    task = asyncio.create_task(t.tidy("task", 20))
    await pause(10)
    task.cancel()
    await pause(10)
    t.value("listed", task in asyncio.all_tasks())
    await t.outcome("task", task)
    t.value("listed", task in asyncio.all_tasks())


@scenario("I2")
async def a_plain_await_stays_in_the_task(t):
    async def body():
        return asyncio.current_task()

    t.value("the same", await body() is asyncio.current_task())


@scenario("T26")
async def a_task_that_is_over_has_no_stack(t):
    task = asyncio.create_task(pause(10))
    await pause(5)
    t.value("suspended", task.get_stack() != [])
    await pause(10)
    t.value("over", task.get_stack() != [])
