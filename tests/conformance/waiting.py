"""wait and as_completed."""

import asyncio

from recorder import pause, scenario




@scenario("W1")
async def nothing_cannot_be_waited_for(t):
    await t.outcome("wait", asyncio.wait([]))


@scenario("W2")
async def a_task_given_twice_counts_once(t):
    task = asyncio.create_task(t.nap("task", 10))
    done, pending = await asyncio.wait([task, task])
    t.value("sizes", (len(done), len(pending)))


@scenario("W3")
async def wait_never_raises_what_tasks_do(t):
    tasks = [asyncio.create_task(t.fail(10, "no")), asyncio.create_task(t.nap("nap", 20))]
    done, pending = await asyncio.wait(tasks)
    t.value("sizes", (len(done), len(pending)))
    await t.outcome("failed", tasks[0])
    await t.outcome("well", tasks[1])


@scenario("W3")
async def wait_is_no_retrieval(t):
    task = asyncio.create_task(t.fail(10, "lost"))
    await asyncio.wait([task])
    t.tell("waited")
    del task
    await pause(1)


@scenario("W4")
async def wait_with_a_timeout_returns_what_is_there(t):
    tasks = [asyncio.create_task(t.nap(f"nap {n}", n)) for n in (10, 30)]
    done, pending = await asyncio.wait(tasks, timeout=0.02)
    t.value("sizes", (len(done), len(pending)))
    await pause(20)


@scenario("W4")
async def wait_with_a_timeout_cancels_nobody(t):
    task = asyncio.create_task(t.nap("nap", 20, 1))
    done, pending = await asyncio.wait([task], timeout=0.01)
    t.value("sizes", (len(done), len(pending)))
    await t.outcome("task", task)


@scenario("W4")
async def wait_without_time_returns(t):
    task = asyncio.create_task(pause(60_000))
    done, pending = await asyncio.wait([task], timeout=0)
    t.value("sizes", (len(done), len(pending)))


@scenario("W4")
async def wait_without_time_sees_what_is_done(t):
    task = asyncio.create_task(t.nap("nap", 10))
    await pause(20)
    done, pending = await asyncio.wait([task], timeout=0)
    t.value("sizes", (len(done), len(pending)))


@scenario("W5")
async def first_completed(t):
    tasks = [asyncio.create_task(t.nap(f"nap {n}", n)) for n in (30, 10, 20)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    t.value("sizes", (len(done), len(pending)))
    t.value("the second", tasks[1] in done)
    await pause(30)


@scenario("W5")
async def first_completed_counts_a_cancelled_one(t):
    tasks = [asyncio.create_task(t.nap(f"nap {n}", n)) for n in (30, 40)]
    await pause(10)
    tasks[0].cancel()
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    t.value("sizes", (len(done), len(pending)))
    await pause(40)


@scenario("W5")
async def first_completed_with_one_done_already(t):
    tasks = [asyncio.create_task(t.nap(f"nap {n}", n)) for n in (10, 40)]
    await pause(20)
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    t.value("sizes", (len(done), len(pending)))
    await pause(30)


@scenario("W6")
async def first_exception(t):
    tasks = [asyncio.create_task(t.nap("nap", 10)), asyncio.create_task(t.fail(20, "no")), asyncio.create_task(pause(30))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    t.value("sizes", (len(done), len(pending)))
    await t.outcome("failed", tasks[1])


@scenario("W6")
async def first_exception_is_no_cancellation(t):
    tasks = [asyncio.create_task(pause(60_000)), asyncio.create_task(t.nap("nap", 30))]
    await pause(10)
    tasks[0].cancel()
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    t.value("sizes", (len(done), len(pending)))


@scenario("W6")
async def first_exception_with_none_waits_for_all(t):
    tasks = [asyncio.create_task(t.nap(f"nap {n}", n)) for n in (10, 20)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    t.value("sizes", (len(done), len(pending)))


@scenario("W6")
async def first_exception_with_one_failed_already(t):
    tasks = [asyncio.create_task(t.fail(10, "no")), asyncio.create_task(pause(60_000))]
    await pause(20)
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    t.value("sizes", (len(done), len(pending)))
    await t.outcome("failed", tasks[0])


@scenario("W7")
async def a_cancelled_wait_cancels_nobody(t):
    inner = asyncio.create_task(t.nap("inner", 30))

    async def body():
        await asyncio.wait([inner])

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("outer")
    await t.outcome("task", task)
    await t.outcome("inner", inner)


@scenario("A1")
async def results_as_they_come(t):
    for next_one in asyncio.as_completed([t.nap("a", 30, 1), t.nap("b", 10, 2), t.nap("c", 20, 3)]):
        await t.outcome("next", next_one)


@scenario("A1")
async def of_nothing_nothing_comes(t):
    for next_one in asyncio.as_completed([]):
        await t.outcome("next", next_one)
    t.tell("end")


@scenario("A1")
async def done_ones_come_first(t):
    done = asyncio.create_task(t.nap("done", 10, 1))
    await pause(20)
    for next_one in asyncio.as_completed([asyncio.create_task(t.nap("later", 10, 2)), done]):
        await t.outcome("next", next_one)


@scenario("A2")
async def errors_come_in_their_turn(t):
    for next_one in asyncio.as_completed([t.nap("a", 30, 1), t.fail(10, "b"), t.nap("c", 20, 3)]):
        await t.outcome("next", next_one)


@scenario("A2")
async def cancelled_ones_come_in_their_turn(t):
    task = asyncio.create_task(pause(60_000))
    asyncio.get_running_loop().call_later(0.01, task.cancel)
    for next_one in asyncio.as_completed([task, t.nap("b", 20, 2)]):
        await t.outcome("next", next_one)


@scenario("A4")
async def what_is_missing_at_the_deadline_is_a_timeout(t):
    tasks = [asyncio.create_task(t.nap(f"nap {n}", n, n)) for n in (10, 30, 40)]
    for next_one in asyncio.as_completed(tasks, timeout=0.02):
        await t.outcome("next", next_one)
    await t.outcome("afterwards", tasks[1])
    await t.outcome("afterwards", tasks[2])


@scenario("A5")
async def leaving_early_cancels_nobody(t):
    for next_one in asyncio.as_completed([t.nap("a", 10, 1), t.nap("b", 20, 2)]):
        await t.outcome("next", next_one)
        break
    await pause(30)


@scenario(
    "A6",
    since=(3, 13),
    expected=["10 a: rested", "20 b: rested", "30 now", "30 next: 1", "30 next: 2"],
)
async def all_start_at_the_call(t):
    results = asyncio.as_completed([t.nap("a", 10, 1), t.nap("b", 20, 2)])
    await pause(30)
    t.tell("now")
    for next_one in results:
        await t.outcome("next", next_one)


@scenario("A5")
async def a_cancelled_next_cancels_nobody(t):
    inner = asyncio.create_task(t.nap("inner", 30, 1))

    async def body():
        for next_one in asyncio.as_completed([inner]):
            await next_one

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel()
    await t.outcome("task", task)
    await t.outcome("inner", inner)
