"""Threads: to_thread, executors, run_coroutine_threadsafe.

No scenario sleeps while a thread runs: the virtual clock does not wait for threads.
"""

import asyncio
import contextvars
import threading

from recorder import Boom, scenario

VAR = contextvars.ContextVar("var", default=0)


def fail():
    raise Boom("in the thread")


@scenario("X6")
async def a_function_in_a_thread(t):
    t.loop.threads = 1
    await t.outcome("to_thread", asyncio.to_thread(lambda: 5))


@scenario("X6")
async def another_thread_it_is(t):
    t.loop.threads = 1
    own = threading.get_ident()
    await t.outcome("another", asyncio.to_thread(lambda: threading.get_ident() != own))


@scenario("X6")
async def a_failing_function_in_a_thread(t):
    t.loop.threads = 1
    await t.outcome("to_thread", asyncio.to_thread(fail))


@scenario("X6")
async def the_context_goes_along_and_does_not_come_back(t):
    t.loop.threads = 1

    def body():
        seen = VAR.get()
        VAR.set(2)
        return seen

    VAR.set(1)
    await t.outcome("thread sees", asyncio.to_thread(body))
    t.value("task sees", VAR.get())


@scenario("X6")
async def cancelled_while_the_thread_runs(t):
    t.loop.threads = 1
    release = threading.Event()
    started = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def body():
        loop.call_soon_threadsafe(started.set_result, None)
        release.wait()

    task = asyncio.create_task(asyncio.to_thread(body))
    await started
    task.cancel("enough")
    await t.outcome("task", task)
    release.set()


@scenario("X6")
async def several_threads(t):
    t.loop.threads = 1
    await t.outcome("gather", asyncio.gather(*(asyncio.to_thread(lambda n=n: n * n) for n in range(4))))


@scenario("X7")
async def a_function_in_the_default_executor(t):
    t.loop.threads = 1
    await t.outcome("executor", asyncio.get_running_loop().run_in_executor(None, lambda: 5))


@scenario("X7")
async def the_executor_carries_no_context(t):
    t.loop.threads = 1
    VAR.set(1)
    await t.outcome("sees", asyncio.get_running_loop().run_in_executor(None, VAR.get))


@scenario("X10")
async def no_loop_runs_in_a_thread(t):
    t.loop.threads = 1
    await t.outcome("loop", asyncio.to_thread(asyncio.get_running_loop))


@scenario("X10")
async def no_task_is_made_in_a_thread(t):
    t.loop.threads = 1

    def body():
        coro = asyncio.sleep(0)
        try:
            asyncio.create_task(coro)
        finally:
            coro.close()

    await t.outcome("create_task", asyncio.to_thread(body))


@scenario("X9")
async def a_callback_from_a_thread(t):
    t.loop.threads = 1
    loop = asyncio.get_running_loop()
    called = loop.create_future()
    await asyncio.to_thread(lambda: loop.call_soon_threadsafe(called.set_result, 3))
    await t.outcome("called", called)


@scenario("X1")
async def a_coroutine_from_a_thread(t):
    t.loop.threads = 1
    loop = asyncio.get_running_loop()

    async def body():
        t.value("in the loop", asyncio.get_running_loop() is loop)
        return 7

    await t.outcome("result", asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(body(), loop).result()))


@scenario("X3")
async def a_failing_coroutine_from_a_thread(t):
    t.loop.threads = 1
    loop = asyncio.get_running_loop()

    async def body():
        raise Boom("in the loop")

    await t.outcome("result", asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(body(), loop).result()))


@scenario("X3")
async def a_coroutine_from_a_thread_is_never_running(t):
    t.loop.threads = 1
    loop = asyncio.get_running_loop()
    gate = loop.create_future()

    async def body():
        return await gate

    def thread():
        future = asyncio.run_coroutine_threadsafe(body(), loop)
        t.value("running", future.running())
        t.value("done", future.done())
        loop.call_soon_threadsafe(gate.set_result, 1)
        t.value("result", future.result())
        t.value("done", future.done())
        t.value("cancel", future.cancel())

    await asyncio.to_thread(thread)


@scenario("X10")
async def a_task_asked_from_a_thread(t):
    t.loop.threads = 1
    loop = asyncio.get_running_loop()
    await t.outcome("all tasks", asyncio.to_thread(lambda: len(asyncio.all_tasks(loop))))
