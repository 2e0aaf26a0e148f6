"""Tasks: start, cancellation, results, context."""

import asyncio
import contextvars
import gc

from recorder import Boom, pause, scenario

VAR = contextvars.ContextVar("var", default=0)


@scenario("T2")
async def the_body_starts_when_the_creator_waits(t):
    async def body():
        t.tell("body")

    task = asyncio.create_task(body())
    t.tell("made")
    await task


@scenario("T2", unordered=True)
async def every_task_starts_once(t):
    tasks = [asyncio.create_task(t.nap(f"nap {n}", n * 10, n)) for n in range(4)]
    for task in tasks:
        await t.outcome("nap", task)


@scenario("T3")
async def names_are_kept(t):
    task = asyncio.create_task(pause(1), name="first")
    t.value("name", task.get_name())
    task.set_name("second")
    await task
    t.value("name", task.get_name())
    t.value("empty", asyncio.create_task(pause(1), name="").get_name())


@scenario("T4")
async def a_done_task_cannot_be_cancelled(t):
    task = asyncio.create_task(t.nap("nap", 10, 1))
    await pause(20)
    t.value("cancel", task.cancel())
    t.value("cancelling", task.cancelling())
    await t.outcome("task", task)


@scenario("T4")
async def a_sleeping_task_is_cancelled(t):
    task = asyncio.create_task(pause(60_000))
    await pause(10)
    t.value("cancel", task.cancel("enough"))
    t.value("cancelling", task.cancelling())
    await t.outcome("task", task)
    t.value("cancelled", task.cancelled())
    t.value("done", task.done())


@scenario("T4")
async def a_request_is_not_yet_the_end(t):
    task = asyncio.create_task(t.tidy("task", 10))
    await pause(10)
    task.cancel()
    t.value("cancelled", task.cancelled())
    await pause(5)
    t.value("done", task.done())
    await t.outcome("task", task)
    t.value("cancelled", task.cancelled())


@scenario("T4")
async def a_child_cancels_its_parent(t):
    async def child(parent):
        await pause(10)
        t.value("cancel", parent.cancel("from below"))

    children = [asyncio.create_task(child(asyncio.current_task()))]
    await t.outcome("parent", pause(60_000))
    await t.outcome("child", children.pop())


@scenario("T5")
async def cancelled_before_the_first_step_the_body_never_runs(t):
    task = asyncio.create_task(t.nap("body", 1))
    t.value("cancel", task.cancel("early"))
    await t.outcome("task", task)
    t.value("cancelled", task.cancelled())
    t.value("cancelling", task.cancelling())


@scenario("T6")
async def two_requests_before_one_delivery_deliver_once(t):
    async def body():
        await t.outcome("first await", pause(60_000))
        await t.outcome("second await", pause(10))

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("first")
    task.cancel("second")
    await t.outcome("task", task)
    t.value("cancelling", task.cancelling())


@scenario("T6")
async def a_request_after_a_delivery_is_delivered_too(t):
    async def body():
        await t.outcome("first await", pause(60_000))
        await t.outcome("second await", pause(60_000))

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("first")
    await pause(10)
    task.cancel("second")
    await t.outcome("task", task)
    t.value("cancelling", task.cancelling())


@scenario("T7")
async def a_request_reaches_into_clean_up(t):
    task = asyncio.create_task(t.tidy("task", 50))
    await pause(10)
    task.cancel("first")
    await pause(10)
    task.cancel("second")
    await t.outcome("task", task)
    t.value("cancelling", task.cancelling())


@scenario("T8")
async def a_swallowed_request_is_not_repeated(t):
    async def body():
        await t.stubborn("body", 60_000)
        await pause(10)
        t.tell("rested")
        return 5

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel()
    await t.outcome("task", task)
    t.value("cancelled", task.cancelled())
    t.value("cancelling", task.cancelling())


@scenario("T9")
async def a_value_returned_after_cancelling_oneself(t):
    async def body():
        asyncio.current_task().cancel()
        return 5

    task = asyncio.create_task(body())
    await pause(10)
    t.value("cancelled", task.cancelled())
    await t.outcome("task", task)


@scenario("T10")
async def an_error_raised_after_cancelling_oneself(t):
    async def body():
        asyncio.current_task().cancel()
        raise Boom("mine")

    task = asyncio.create_task(body())
    await t.outcome("task", task)
    t.value("cancelled", task.cancelled())


@scenario("T11")
async def a_request_to_oneself_meets_the_next_wait(t):
    async def body():
        asyncio.current_task().cancel("me")
        t.tell("still running")
        await t.outcome("yield", asyncio.sleep(0))
        await t.outcome("sleep", pause(10))

    await t.outcome("task", asyncio.create_task(body()))


@scenario("T11")
async def a_ready_await_does_not_take_the_request(t):
    async def body():
        ready = asyncio.get_running_loop().create_future()
        ready.set_result(1)
        asyncio.current_task().cancel("me")
        await t.outcome("ready", ready)
        await t.outcome("yield", asyncio.sleep(0))

    await t.outcome("task", asyncio.create_task(body()))


@scenario("T12")
async def a_result_and_a_request_in_one_instant(t):
    future = asyncio.get_running_loop().create_future()

    async def body():
        await t.outcome("future", future)
        await t.outcome("sleep", pause(10))

    task = asyncio.create_task(body())
    await pause(10)
    future.set_result(7)
    task.cancel("late")
    await t.outcome("task", task)


@scenario("T13")
async def a_request_is_passed_on_to_the_awaited_task(t):
    inner = asyncio.create_task(t.nap("inner", 60_000))

    async def body():
        await inner

    outer = asyncio.create_task(body())
    await pause(10)
    outer.cancel("down")
    await t.outcome("outer", outer)
    t.value("inner cancelled", inner.cancelled())
    t.value("inner cancelling", inner.cancelling())


@scenario("T13")
async def a_request_goes_down_a_chain(t):
    async def link(depth):
        if depth == 0:
            await t.nap("last", 60_000)
        else:
            await asyncio.create_task(link(depth - 1))

    task = asyncio.create_task(link(5))
    await pause(10)
    task.cancel("down")
    await t.outcome("task", task)


@scenario("T13", unordered=True)
async def one_cancelled_waiter_cancels_the_future_for_all(t):
    future = asyncio.get_running_loop().create_future()
    first = asyncio.create_task(t.outcome("first", future))
    second = asyncio.create_task(t.outcome("second", future))
    await pause(10)
    first.cancel("both")
    await first
    await second
    t.value("cancelled", future.cancelled())


@scenario("T14")
async def an_awaited_task_may_absorb_the_request(t):
    inner = asyncio.create_task(t.stubborn("inner", 60_000, 3))

    async def body():
        await t.outcome("in outer", inner)
        await pause(10)
        return 4

    outer = asyncio.create_task(body())
    await pause(10)
    outer.cancel()
    await t.outcome("outer", outer)
    t.value("cancelled", outer.cancelled())
    t.value("cancelling", outer.cancelling())


@scenario("T15")
async def an_awaited_task_may_answer_with_an_error(t):
    inner = asyncio.create_task(t.spiteful("spite"))

    async def body():
        await inner

    outer = asyncio.create_task(body())
    await pause(10)
    outer.cancel()
    await t.outcome("outer", outer)
    t.value("cancelled", outer.cancelled())


@scenario("T16")
async def an_awaited_task_cancelled_by_another(t):
    inner = asyncio.create_task(pause(60_000))

    async def body():
        await inner

    outer = asyncio.create_task(body())
    await pause(10)
    inner.cancel("by another")
    await t.outcome("outer", outer)
    t.value("cancelled", outer.cancelled())
    t.value("cancelling", outer.cancelling())


@scenario("T17")
async def a_coroutine_raises_a_cancellation_itself(t):
    async def body():
        raise asyncio.CancelledError("own")

    task = asyncio.create_task(body())
    await t.outcome("task", task)
    t.value("cancelled", task.cancelled())
    t.value("cancelling", task.cancelling())


@scenario("T18")
async def a_stubborn_inner_task_is_told_each_time(t):
    async def stubborn_twice():
        await t.stubborn("first", 60_000)
        await t.stubborn("second", 60_000)
        return 2

    inner = asyncio.create_task(stubborn_twice())

    async def body():
        return await inner

    outer = asyncio.create_task(body())
    await pause(10)
    outer.cancel("one")
    await pause(10)
    outer.cancel("two")
    await t.outcome("outer", outer)
    t.value("inner cancelling", inner.cancelling())


@scenario("T19")
async def uncancel_counts_down_to_zero(t):
    task = asyncio.create_task(t.stubborn("task", 60_000))
    await pause(10)
    task.cancel()
    task.cancel()
    t.value("uncancel", task.uncancel())
    t.value("uncancel", task.uncancel())
    t.value("uncancel", task.uncancel())
    t.value("cancelling", task.cancelling())
    await pause(10)
    t.value("done", task.done())
    t.value("cancel", task.cancel("again"))
    await t.outcome("await", task)


@scenario("T19", since=(3, 13), expected=["0 cancelling: 1", "0 uncancel: 0", "10 sleep: ()", "10 task: ()"])
async def uncancel_before_delivery_takes_the_request_back(t):
    async def body():
        me = asyncio.current_task()
        me.cancel()
        t.value("cancelling", me.cancelling())
        t.value("uncancel", me.uncancel())
        await t.outcome("sleep", pause(10))

    await t.outcome("task", asyncio.create_task(body()))


@scenario("T20")
async def who_refuses_says_so(t):
    async def body():
        await t.stubborn("task", 60_000)
        t.value("uncancel", asyncio.current_task().uncancel())
        await pause(10)
        return 1

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel()
    await t.outcome("task", task)
    t.value("cancelling", task.cancelling())


@scenario("T21")
async def the_result_can_be_read_again(t):
    task = asyncio.create_task(t.nap("task", 10, 5))
    failed = asyncio.create_task(t.fail(10, "same"))
    await pause(20)
    for _ in range(2):
        t.attempt("result", task.result)
        t.attempt("failed", failed.result)


@scenario("T21")
async def a_task_awaited_twice(t):
    task = asyncio.create_task(t.nap("task", 10, 5))
    await t.outcome("first", task)
    await t.outcome("second", task)


@scenario("T21")
async def exception_tells_how_a_task_ended(t):
    tasks = {
        "well": asyncio.create_task(t.nap("well", 10)),
        "failed": asyncio.create_task(t.fail(10, "no")),
        "cancelled": asyncio.create_task(pause(60_000)),
        "pending": asyncio.create_task(pause(60_000)),
    }
    await pause(20)
    tasks["cancelled"].cancel()
    await pause(10)
    t.attempt("well", lambda: tasks["well"].exception() is None)
    t.attempt("failed", lambda: tasks["failed"].exception() is None)
    t.attempt("cancelled", tasks["cancelled"].exception)
    t.attempt("pending", tasks["pending"].exception)
    t.attempt("pending", tasks["pending"].result)


@scenario("T22")
async def a_task_awaits_itself(t):
    cell = []

    async def body():
        await pause(10)
        await t.outcome("itself", cell[0])

    cell.append(asyncio.create_task(body()))
    await pause(20)
    t.value("done", cell[0].done())


@scenario("T27")
async def the_context_is_copied_at_creation(t):
    async def body():
        t.value("child sees", VAR.get())
        VAR.set(3)

    VAR.set(1)
    task = asyncio.create_task(body())
    VAR.set(2)
    await task
    t.value("parent sees", VAR.get())


@scenario("T27")
async def a_given_context_is_used_itself(t):
    async def body():
        VAR.set(VAR.get() + 1)

    VAR.set(5)
    context = contextvars.copy_context()
    await asyncio.create_task(body(), context=context)
    await asyncio.create_task(body(), context=context)
    t.value("in the context", context.run(VAR.get))
    t.value("outside", VAR.get())


@scenario("T27")
async def a_plain_await_shares_the_context(t):
    async def body():
        VAR.set(9)

    VAR.set(1)
    await body()
    t.value("after", VAR.get())


@scenario("T27")
async def siblings_do_not_see_each_others_values(t):
    async def body(ms, value):
        VAR.set(value)
        await pause(ms)
        t.value("value", VAR.get())

    for task in [asyncio.create_task(body(10 * n, n)) for n in (1, 2, 3)]:
        await task


@scenario("T28")
async def a_forgotten_task_that_nobody_can_wake(t):
    async def body():
        await t.outcome("future", asyncio.get_running_loop().create_future())

    task = asyncio.create_task(body())
    await pause(10)
    del task
    gc.collect()
    await pause(10)
    t.tell("main ends")


@scenario("T28")
async def a_forgotten_task_goes_on(t):
    asyncio.create_task(t.nap("forgotten", 10))
    await pause(20)
    t.tell("main ends")


@scenario("T29")
async def an_error_that_nobody_took_is_reported(t):
    task = asyncio.create_task(t.fail(10, "lost"))
    await pause(20)
    t.value("done", task.done())
    del task
    await pause(10)
    t.tell("main ends")


@scenario("T29")
async def an_error_that_was_looked_at_is_not_reported(t):
    task = asyncio.create_task(t.fail(10, "seen"))
    await pause(20)
    t.attempt("seen", lambda: task.exception() is not None)
    del task
    await pause(10)
    t.tell("main ends")
