"""wait_for: rows WF, as CPython has them since 3.12."""

import asyncio
import contextvars

from recorder import HOUR, pause, scenario

VAR = contextvars.ContextVar("var", default=0)


@scenario("WF1", since=(3, 12), expected=["0 same task: true", "0 wait_for: ()", "0 sees: 3"])
async def it_runs_in_the_callers_task_and_context(t):
    caller = asyncio.current_task()

    async def body():
        t.value("same task", asyncio.current_task() is caller)
        VAR.set(3)

    VAR.set(1)
    await t.outcome("wait_for", asyncio.wait_for(body(), 1))
    t.value("sees", VAR.get())


@scenario("WF1")
async def in_time(t):
    await t.outcome("wait_for", asyncio.wait_for(t.nap("nap", 10, 1), 0.02))


@scenario("WF1")
async def too_late(t):
    await t.outcome("wait_for", asyncio.wait_for(t.nap("nap", 30, 1), 0.02))


@scenario("WF1")
async def an_error_in_time(t):
    await t.outcome("wait_for", asyncio.wait_for(t.fail(10, "no"), 0.02))


@scenario("WF2")
async def without_a_timeout(t):
    await t.outcome("wait_for", asyncio.wait_for(t.nap("nap", 10_000, 1), None))


@scenario("WF2")
async def no_time_and_a_done_task(t):
    task = asyncio.create_task(t.nap("task", 10, 1))
    await pause(20)
    await t.outcome("wait_for", asyncio.wait_for(task, 0))


@scenario("WF2")
async def no_time_and_a_failed_task(t):
    task = asyncio.create_task(t.fail(10, "no"))
    await pause(20)
    await t.outcome("wait_for", asyncio.wait_for(task, 0))


@scenario("WF2")
async def no_time_and_a_pending_task(t):
    task = asyncio.create_task(t.nap("task", 60_000))
    await pause(10)
    await t.outcome("wait_for", asyncio.wait_for(task, 0))
    t.value("cancelled", task.cancelled())


@scenario("WF2")
async def no_time_and_a_coroutine(t):
    async def body():
        t.tell("started")
        return 1

    await t.outcome("wait_for", asyncio.wait_for(body(), 0))


@scenario("WF3", since=(3, 12), expected=["0 wait_for: 1"])
async def hardly_any_time_is_enough_for_what_never_waits(t):
    async def body():
        return 1

    await t.outcome("wait_for", asyncio.wait_for(body(), 1e-9))


@scenario("WF4")
async def it_waits_for_clean_up(t):
    await t.outcome("wait_for", asyncio.wait_for(t.tidy("body", 30), 0.01))


@scenario("WF4")
async def it_waits_for_a_tasks_clean_up(t):
    task = asyncio.create_task(t.tidy("task", 30))
    await t.outcome("wait_for", asyncio.wait_for(task, 0.01))
    t.value("cancelled", task.cancelled())


@scenario("WF5", since=(3, 12), expected=["10 body: cancelled", "10 wait_for: 5"])
async def a_value_in_spite_of_the_deadline(t):
    await t.outcome("wait_for", asyncio.wait_for(t.stubborn("body", 60_000, 5), 0.01))


@scenario("WF5")
async def an_error_in_answer_to_the_deadline(t):
    await t.outcome("wait_for", asyncio.wait_for(t.spiteful("spite"), 0.01))


@scenario("WF6")
async def cancelled_by_a_third_party(t):
    inner = asyncio.create_task(pause(60_000))
    asyncio.get_running_loop().call_later(0.01, inner.cancel)
    await t.outcome("wait_for", asyncio.wait_for(inner, 0.05))


@scenario("WF7", since=(3, 12), expected=["10 body: cancelled outer", "10 task: cancelled outer"])
async def cancelled_from_outside(t):
    task = asyncio.create_task(asyncio.wait_for(t.nap("body", 60_000), HOUR))
    await pause(10)
    task.cancel("outer")
    await t.outcome("task", task)


@scenario("WF7", since=(3, 12), expected=["10 body: cancelled outer", "10 wait_for: 5", "20 sleep: ()", "20 task: ()"])
async def cancelled_from_outside_and_swallowed(t):
    async def body():
        await t.outcome("wait_for", asyncio.wait_for(t.stubborn("body", 60_000, 5), HOUR))
        await t.outcome("sleep", pause(10))

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("outer")
    await t.outcome("task", task)


@scenario("WF8", since=(3, 12), expected=["20 wait_for: timeout"])
async def the_result_and_the_deadline_in_one_instant(t):
    await t.outcome("wait_for", asyncio.wait_for(asyncio.sleep(0.02, 1), 0.02))


@scenario("WF9", since=(3, 12), expected=["10 wait_for: cancelled late", "20 sleep: ()"])
async def the_result_and_a_request_in_one_instant(t):
    future = asyncio.get_running_loop().create_future()

    async def body():
        await t.outcome("wait_for", asyncio.wait_for(future, HOUR))
        await t.outcome("sleep", pause(10))

    task = asyncio.create_task(body())
    await pause(10)
    future.set_result(1)
    task.cancel("late")
    await task


@scenario("WF11")
async def a_shielded_task_outlives_the_deadline(t):
    task = asyncio.create_task(t.nap("task", 30, 1))
    await t.outcome("wait_for", asyncio.wait_for(asyncio.shield(task), 0.01))
    await t.outcome("task", task)


@scenario("WF1")
async def the_inner_of_two_deadlines(t):
    await t.outcome("outer", asyncio.wait_for(t.outcome("inner", asyncio.wait_for(pause(60_000), 0.01)), 0.05))


@scenario("WF1")
async def the_outer_of_two_deadlines(t):
    async def body():
        await asyncio.wait_for(t.nap("body", 60_000), 0.05)

    await t.outcome("outer", asyncio.wait_for(body(), 0.01))
