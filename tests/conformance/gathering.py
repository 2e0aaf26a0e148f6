"""gather: order, failures, cancellation."""

import asyncio

from recorder import pause, scenario


@scenario("G1")
async def nothing_is_gathered_at_once(t):
    await t.outcome("gather", asyncio.gather())


@scenario("G1")
async def results_come_in_the_order_of_the_arguments(t):
    await t.outcome("gather", asyncio.gather(t.nap("a", 30, 1), t.nap("b", 10, 2), t.nap("c", 20, 3)))


@scenario("G1")
async def children_start_without_an_await(t):
    gathering = asyncio.gather(t.nap("child", 10, 1))
    await pause(20)
    await t.outcome("gather", gathering)


@scenario("G1")
async def tasks_and_coroutines_mix(t):
    task = asyncio.create_task(t.nap("task", 20, 1))
    await t.outcome("gather", asyncio.gather(task, t.nap("coroutine", 10, 2)))


@scenario("G3")
async def done_tasks_are_gathered(t):
    tasks = [asyncio.create_task(t.nap(f"child {n}", n, n)) for n in (1, 2)]
    await pause(10)
    await t.outcome("gather", asyncio.gather(*tasks))


@scenario("G4")
async def the_first_error_ends_it_and_siblings_go_on(t):
    sibling = asyncio.create_task(t.nap("sibling", 50))
    await t.outcome("gather", asyncio.gather(sibling, t.fail(10, "first"), t.fail(20, "second")))
    await pause(60)
    t.value("sibling done", sibling.done())


@scenario("G4")
async def later_errors_are_never_reported(t):
    await t.outcome("gather", asyncio.gather(t.fail(10, "first"), t.fail(20, "second")))
    await pause(30)
    t.tell("main ends")


@scenario("G4")
async def with_return_exceptions_all_are_waited_for(t):
    gathering = asyncio.gather(t.nap("a", 30, 1), t.fail(10, "b"), t.nap("c", 20, 3), return_exceptions=True)
    await t.outcome("gather", gathering)


@scenario("G6")
async def a_cancelled_child_ends_it(t):
    child = asyncio.create_task(pause(60_000))
    sibling = asyncio.create_task(t.nap("sibling", 30))

    async def killer():
        await pause(10)
        child.cancel("child")

    task = asyncio.create_task(killer())
    await t.outcome("gather", asyncio.gather(child, sibling))
    await task
    await pause(40)


@scenario("G7")
async def a_cancelled_child_among_the_results(t):
    child = asyncio.create_task(pause(60_000))

    async def killer():
        await pause(10)
        child.cancel()

    task = asyncio.create_task(killer())
    await t.outcome("gather", asyncio.gather(child, t.nap("sibling", 30), return_exceptions=True))
    await task


@scenario("G7")
async def a_message_of_a_cancelled_child_among_the_results(t):
    child = asyncio.create_task(pause(60_000))
    gathering = asyncio.gather(child, return_exceptions=True)
    await pause(10)
    child.cancel("why")
    await t.outcome("gather", gathering)


@scenario("G8", unordered=True)
async def cancelled_from_outside_all_children_are(t):
    async def body():
        await t.outcome("gather", asyncio.gather(t.nap("a", 60_000), t.nap("b", 60_000)))

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("all")
    await task


@scenario("G8")
async def cancelled_with_return_exceptions_it_waits_for_clean_up(t):
    async def body():
        await t.outcome("gather", asyncio.gather(t.tidy("a", 20), t.nap("b", 10, 2), return_exceptions=True))

    task = asyncio.create_task(body())
    await pause(15)
    task.cancel("all")
    await task


@scenario("G8")
async def children_that_refuse_do_not_undo_the_cancellation(t):
    async def body():
        await t.outcome("gather", asyncio.gather(t.stubborn("a", 60_000, 1), return_exceptions=True))

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("all")
    await task


@scenario("G9", unordered=True)
async def cancelled_it_ends_with_the_first_child(t):
    async def body():
        await t.outcome("gather", asyncio.gather(t.tidy("slow", 30), t.tidy("quick", 10)))

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel()
    await task
    await pause(40)


@scenario("G10")
async def children_done_before_the_request(t):
    first = asyncio.get_running_loop().create_future()

    async def child():
        return await first

    async def body():
        await t.outcome("gather", asyncio.gather(child()))
        await t.outcome("sleep", pause(10))

    task = asyncio.create_task(body())
    await pause(10)
    first.set_result(1)
    task.cancel("late")
    await task


@scenario("G11")
async def a_shielded_child_goes_on(t):
    inner = asyncio.create_task(t.nap("inner", 30))

    async def body():
        await t.outcome("gather", asyncio.gather(asyncio.shield(inner)))

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("outer")
    await task
    await pause(30)
    t.value("inner cancelled", inner.cancelled())


@scenario("G1")
async def gatherings_nest(t):
    one = asyncio.gather(t.nap("a", 10, 1), t.nap("b", 20, 2))
    two = asyncio.gather(t.nap("c", 30, 3), t.nap("d", 5, 4))
    await t.outcome("gather", asyncio.gather(one, two))


@scenario("G4")
async def an_error_inside_a_nested_gathering(t):
    inner = asyncio.gather(t.fail(10, "deep"), t.nap("sibling", 20))
    await t.outcome("gather", asyncio.gather(inner, t.nap("cousin", 30)))
    await pause(30)
