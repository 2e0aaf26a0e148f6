"""The loop: callbacks, timers, sleep, the exception handler, shutdown."""

import asyncio
import contextvars

from recorder import Boom, pause, scenario

VAR = contextvars.ContextVar("var", default=0)


def loop():
    return asyncio.get_running_loop()


@scenario("L1")
async def callbacks_run_in_order(t):
    for n in range(4):
        loop().call_soon(t.tell, f"callback {n}")
    t.tell("asked")
    await pause(1)


@scenario("L1")
async def a_cancelled_callback_is_skipped(t):
    handle = loop().call_soon(t.tell, "cancelled")
    loop().call_soon(t.tell, "kept")
    handle.cancel()
    t.value("cancelled", handle.cancelled())
    await pause(1)


@scenario("L1")
async def a_callback_added_by_a_callback_runs_later(t):
    def outer():
        t.tell("outer")
        loop().call_soon(t.tell, "inner")

    loop().call_soon(outer)
    loop().call_soon(t.tell, "next")
    await pause(1)


@scenario("L1")
async def timers_fire_by_deadline(t):
    for n in (30, 10, 20):
        loop().call_later(n / 1000, t.tell, f"timer {n}")
    await pause(40)


@scenario("L1")
async def a_cancelled_timer_does_not_fire(t):
    handle = loop().call_later(0.01, t.tell, "cancelled")
    loop().call_later(0.02, t.tell, "kept")
    await pause(5)
    handle.cancel()
    t.value("cancelled", handle.cancelled())
    await pause(20)


@scenario("L1")
async def a_timer_at_a_time_of_the_loop(t):
    await pause(10)
    handle = loop().call_at(loop().time() + 0.02, t.tell, "fired")
    t.value("in", round((handle.when() - loop().time()) * 1000))
    await pause(30)


@scenario("L1")
async def a_callback_runs_in_a_copy_of_the_context(t):
    VAR.set(1)

    def callback():
        t.value("sees", VAR.get())
        VAR.set(3)

    loop().call_soon(callback)
    VAR.set(2)
    await pause(1)
    t.value("task sees", VAR.get())


@scenario("L2")
async def a_timer_of_no_time(t):
    loop().call_later(0, t.tell, "fired")
    t.tell("asked")
    await pause(1)


@scenario("L2")
async def a_timer_in_the_past(t):
    await pause(10)
    loop().call_at(0.005, t.tell, "fired")
    await pause(1)


@scenario("L2")
async def time_passes_as_slept(t):
    before = loop().time()
    await pause(25)
    t.value("passed", round((loop().time() - before) * 1000))


@scenario("L5")
async def sleep_returns_its_value(t):
    await t.outcome("sleep", asyncio.sleep(0.01, 5))


@scenario("L5")
async def sleep_of_no_time_yields(t):
    task = asyncio.create_task(t.nap("other", 0))
    t.tell("before")
    await asyncio.sleep(0)
    await task
    t.tell("after")


@scenario("L5")
async def sleep_of_no_time_returns_its_value(t):
    await t.outcome("sleep", asyncio.sleep(0, 5))


@scenario("L5", unordered=True)
async def sleepers_wake_by_deadline(t):
    tasks = [asyncio.create_task(t.nap(f"nap {n}", n)) for n in (50, 10, 40, 20, 30)]
    for task in tasks:
        await task


@scenario("L5")
async def a_plain_await_does_not_yield(t):
    async def nothing():
        return 1

    task = asyncio.create_task(t.nap("other", 0))
    await t.outcome("await", nothing())
    t.tell("not suspended")
    await task


@scenario("D2")
async def the_exception_handler_is_told(t):
    loop().call_exception_handler({"message": "by hand"})
    t.tell("told")


@scenario("D2")
async def the_exception_handler_is_told_the_error(t):
    loop().set_exception_handler(lambda _, context: t.error(context["message"], context["exception"]))
    loop().call_exception_handler({"message": "by hand", "exception": Boom("this")})


@scenario("D2")
async def an_error_in_a_task_nobody_keeps(t):
    def tell(_, context):
        t.error(context["message"], context["exception"])

    loop().set_exception_handler(tell)
    asyncio.create_task(t.fail(10, "lost"))
    await pause(20)


@scenario("D2")
async def an_exception_handler_that_fails_harms_nobody(t):
    def broken(_, context):
        t.tell("called")
        raise Boom("broken")

    loop().set_exception_handler(broken)
    loop().call_exception_handler({"message": "by hand"})
    t.tell("unharmed")


@scenario("R1")
async def run_inside_a_loop(t):
    coro = pause(1)
    t.attempt("run", asyncio.run, coro)
    coro.close()


@scenario("R2")
async def what_is_left_is_cancelled_and_cleans_up(t):
    async def left_over():
        future = loop().create_future()
        try:
            await future
        finally:
            t.tell("cleaned up")

    # A task that the scenario keeps awaits it for ever.
    task = asyncio.create_task(left_over())
    t.kept = task
    await pause(10)
    t.tell("main ends")


@scenario("R2")
async def what_is_left_and_sleeps_is_cancelled_too(t):
    t.kept = asyncio.create_task(t.nap("left over", 1000))
    await pause(10)
    t.tell("main ends")


@scenario("R2")
async def an_error_during_the_shutdown_is_reported(t):
    async def left_over():
        try:
            await loop().create_future()
        except asyncio.CancelledError:
            raise Boom("at the end") from None

    t.kept = asyncio.create_task(left_over())
    await pause(10)
    t.tell("main ends")


@scenario("R3")
async def main_is_cancelled(t):
    asyncio.current_task().cancel("enough")
    await pause(10)


@scenario("R1")
async def main_fails(t):
    await t.fail(10, "no")


@scenario("R3")
async def main_is_cancelled_by_a_child_and_refuses(t):
    main = asyncio.current_task()
    loop().call_later(0.01, main.cancel)
    await t.stubborn("main", 60_000)
    await t.nap("main", 10)


@scenario("R5")
async def the_running_loop(t):
    t.value("running", loop().is_running())
    t.value("closed", loop().is_closed())
    t.value("the same", loop() is asyncio.get_running_loop())
    t.value("debug", loop().get_debug())


@scenario("D1")
async def debug_is_switched_on(t):
    loop().set_debug(True)
    t.value("debug", loop().get_debug())
    loop().set_debug(False)
    t.value("debug", loop().get_debug())


@scenario("X9")
async def a_callback_from_within(t):
    loop().call_soon_threadsafe(t.tell, "called")
    t.tell("asked")
    await pause(1)
