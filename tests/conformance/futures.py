"""Futures: results set by hand."""

import asyncio
import contextvars

from recorder import Boom, pause, scenario

VAR = contextvars.ContextVar("var", default=0)


def make():
    return asyncio.get_running_loop().create_future()


@scenario("F1")
async def a_pending_future_has_no_result(t):
    future = make()
    t.attempt("result", future.result)
    t.attempt("exception", future.exception)
    t.value("done", future.done())
    t.value("cancelled", future.cancelled())


@scenario("F2")
async def a_future_is_set_once(t):
    future = make()
    t.attempt("set", future.set_result, 1)
    t.attempt("again", future.set_result, 2)
    t.attempt("error", future.set_exception, Boom("late"))
    t.value("cancel", future.cancel())
    t.attempt("result", future.result)


@scenario("F2")
async def a_cancelled_future_cannot_be_set(t):
    future = make()
    t.value("cancel", future.cancel())
    t.attempt("set", future.set_result, 1)
    t.attempt("error", future.set_exception, Boom("late"))
    t.value("again", future.cancel())


@scenario("F3")
async def a_future_is_cancelled_at_once(t):
    future = make()
    t.value("cancel", future.cancel("why"))
    t.value("cancelled", future.cancelled())
    t.attempt("exception", future.exception)


@scenario("F3")
async def a_cancelled_future_raises_its_message(t):
    future = make()
    future.cancel("why")
    t.attempt("result", future.result)


@scenario("F4")
async def a_failed_future_raises_its_error(t):
    future = make()
    future.set_exception(Boom("no"))
    await t.outcome("await", future)
    await t.outcome("again", future)
    t.attempt("result", future.result)
    t.attempt("failed", lambda: future.exception() is not None)


@scenario("F5")
async def callbacks_run_later_and_in_order(t):
    future = make()
    for name in ("first", "second", "third"):
        future.add_done_callback(lambda it, name=name: t.value(name, it.result()))
    future.set_result(7)
    t.tell("set")
    await pause(1)


@scenario("F5")
async def a_callback_on_a_done_future_runs_soon(t):
    future = make()
    future.set_result(7)
    future.add_done_callback(lambda it: t.value("callback", it.result()))
    t.tell("added")
    await pause(1)


@scenario("F5")
async def a_callback_runs_in_the_context_of_its_registration(t):
    future = make()
    VAR.set(1)
    future.add_done_callback(lambda _: t.value("callback sees", VAR.get()))
    VAR.set(2)
    future.set_result(None)
    await pause(1)
    t.value("task sees", VAR.get())


@scenario("F5")
async def a_task_calls_back_too(t):
    task = asyncio.create_task(t.nap("task", 10))
    task.add_done_callback(lambda it: t.value("done", it.done()))
    task.add_done_callback(lambda it: t.value("cancelled", it.cancelled()))
    await pause(20)
    task.add_done_callback(lambda _: t.tell("late"))
    await pause(1)


@scenario("F6")
async def a_callback_is_taken_back(t):
    future = make()
    callback = lambda _: t.tell("taken back")
    future.add_done_callback(callback)
    future.add_done_callback(lambda _: t.tell("kept"))
    t.value("removed", future.remove_done_callback(callback) > 0)
    t.value("again", future.remove_done_callback(callback) > 0)
    future.set_result(None)
    await pause(1)


@scenario("F6")
async def a_callback_of_a_done_future_still_runs(t):
    future = make()
    callback = lambda _: t.tell("called")
    future.add_done_callback(callback)
    future.set_result(None)
    t.value("removed", future.remove_done_callback(callback) > 0)
    await pause(1)


@scenario("F6")
async def a_callback_added_twice_runs_twice(t):
    future = make()
    callback = lambda _: t.tell("called")
    future.add_done_callback(callback)
    future.add_done_callback(callback)
    future.set_result(None)
    await pause(1)


@scenario("F7")
async def a_callback_may_add_a_callback(t):
    future = make()

    def outer(it):
        t.tell("outer")
        it.add_done_callback(lambda _: t.tell("inner"))

    future.add_done_callback(outer)
    future.add_done_callback(lambda _: t.tell("next"))
    future.set_result(None)
    await pause(1)


@scenario("F7")
async def a_cancelled_future_calls_back(t):
    future = make()
    future.add_done_callback(lambda it: t.value("cancelled", it.cancelled()))
    future.cancel()
    await pause(1)


@scenario("F8")
async def a_done_future_does_not_suspend(t):
    future = make()
    future.set_result(1)
    task = asyncio.create_task(t.nap("other", 0))
    await t.outcome("await", future)
    t.tell("not suspended")
    await task


@scenario("F8", unordered=True)
async def every_awaiter_gets_the_value(t):
    future = make()
    tasks = [asyncio.create_task(t.outcome(f"awaiter {n}", future)) for n in range(3)]
    await pause(10)
    future.set_result(5)
    for task in tasks:
        await task


@scenario("F8", unordered=True)
async def every_awaiter_gets_the_error(t):
    future = make()
    tasks = [asyncio.create_task(t.outcome(f"awaiter {n}", future)) for n in range(3)]
    await pause(10)
    future.set_exception(Boom("all"))
    for task in tasks:
        await task


@scenario("F8")
async def a_future_set_later_wakes_its_awaiter(t):
    future = make()
    asyncio.get_running_loop().call_later(0.01, future.set_result, 3)
    await t.outcome("await", future)


@scenario("F12")
async def an_error_nobody_asked_for_is_reported(t):
    future = make()
    future.set_exception(Boom("lost"))
    del future
    t.tell("dropped")
    await pause(1)


@scenario("F12")
async def an_error_somebody_asked_for_is_not_reported(t):
    future = make()
    future.set_exception(Boom("seen"))
    t.attempt("failed", lambda: future.exception() is not None)
    del future
    await pause(1)


@scenario("F7")
async def a_callback_that_fails_harms_no_other(t):
    def broken(_):
        raise Boom("broken")

    future = make()
    future.add_done_callback(broken)
    future.add_done_callback(lambda _: t.tell("next"))
    future.set_result(None)
    await pause(1)


@scenario("F2")
async def a_future_has_one_outcome_for_all_who_try(t):
    future = make()
    outcomes = []

    async def setter(n):
        await pause(10)
        try:
            future.set_result(0)
            outcomes.append(True)
        except asyncio.InvalidStateError:
            outcomes.append(False)

    for task in [asyncio.create_task(setter(n)) for n in range(8)]:
        await task
    t.value("won", sum(outcomes))
    t.value("tried", len(outcomes))
