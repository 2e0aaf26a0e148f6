"""TaskGroup."""

import asyncio

from recorder import Boom, pause, scenario


@scenario("TG1")
async def the_block_waits_for_all(t):
    async with asyncio.TaskGroup() as tg:
        tg.create_task(t.nap("a", 20))
        tg.create_task(t.nap("b", 10))
        t.tell("body ends")
    t.tell("block ends")


@scenario("TG1")
async def results_after_the_block(t):
    async with asyncio.TaskGroup() as tg:
        one = tg.create_task(t.nap("a", 20, 1))
        two = tg.create_task(t.nap("b", 10, 2))
    t.value("results", (one.result(), two.result()))


@scenario("TG1")
async def an_empty_group(t):
    async with asyncio.TaskGroup():
        pass
    t.tell("block ends")


@scenario("TG1")
async def a_child_adds_a_child(t):
    async with asyncio.TaskGroup() as tg:

        async def child():
            await pause(10)
            tg.create_task(t.nap("grandchild", 20))

        tg.create_task(child())
    t.tell("block ends")


@scenario("TG2")
async def a_failing_child_cancels_the_others(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.fail(10, "no"))
            tg.create_task(t.nap("sibling", 60_000))

    await t.outcome("block", block())


@scenario("TG2")
async def a_failing_child_cancels_the_body(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.fail(10, "no"))
            await t.nap("body", 60_000)

    await t.outcome("block", block())
    t.value("cancelling", asyncio.current_task().cancelling())


@scenario("TG2")
async def several_errors_come_in_the_order_they_happened(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.spiteful("second"))
            tg.create_task(t.fail(10, "first"))

    await t.outcome("block", block())


@scenario("TG2")
async def the_bodys_error_comes_last(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.fail(10, "child"))
            await t.spiteful("body")

    await t.outcome("block", block())


@scenario("TG3")
async def a_failing_body_cancels_the_children(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.nap("child", 60_000))
            await t.fail(10, "body")

    await t.outcome("block", block())


@scenario("TG3")
async def a_failing_body_waits_for_clean_up(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.tidy("child", 20))
            await t.fail(10, "body")

    await t.outcome("block", block())


@scenario("TG4")
async def children_of_a_failed_body_never_start(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.nap("child", 0))
            raise Boom("at once")

    await t.outcome("block", block())


@scenario("TG5")
async def a_cancelled_child_harms_nobody(t):
    async with asyncio.TaskGroup() as tg:
        child = tg.create_task(t.nap("child", 60_000))
        tg.create_task(t.nap("sibling", 20))
        await pause(10)
        child.cancel()
    t.tell("block ends")


@scenario("TG6")
async def a_child_that_refuses_is_waited_for(t):
    async def stubborn():
        await t.stubborn("sibling", 60_000)
        await pause(20)
        t.tell("sibling ends")

    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(stubborn())
            tg.create_task(t.fail(10, "no"))

    await t.outcome("block", block())


@scenario("TG7")
async def a_body_that_refuses_goes_on(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.fail(10, "no"))
            await t.stubborn("body", 60_000)
            await t.nap("body", 10)

    await t.outcome("block", block())


@scenario("TG8")
async def no_child_for_a_group_that_is_over(t):
    async with asyncio.TaskGroup() as tg:
        pass

    async def add():
        coro = t.nap("late", 1)
        try:
            await tg.create_task(coro)
        finally:
            coro.close()

    await t.outcome("late", add())


@scenario("TG8")
async def no_child_for_a_group_that_shuts_down(t):
    async def block():
        async with asyncio.TaskGroup() as tg:

            async def add():
                coro = t.nap("late", 1)
                try:
                    await tg.create_task(coro)
                finally:
                    coro.close()

            tg.create_task(t.fail(10, "no"))
            await t.stubborn("body", 60_000)
            await t.outcome("late", add())

    await t.outcome("block", block())


@scenario("TG9")
async def cancelled_in_the_body(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.tidy("child", 20))
            await pause(60_000)

    task = asyncio.create_task(block())
    await pause(10)
    task.cancel("outside")
    await t.outcome("task", task)
    t.value("cancelling", task.cancelling())


@scenario("TG9")
async def cancelled_at_the_end_of_the_block(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.tidy("child", 20))

    task = asyncio.create_task(block())
    await pause(10)
    task.cancel("outside")
    await t.outcome("task", task)
    t.value("cancelled", task.cancelled())


@scenario(
    "TG10",
    since=(3, 13),
    expected=["10 block: group[error spite]", "10 next await: cancelled", "10 task: ()"],
)
async def cancelled_and_a_child_fails_in_clean_up(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.spiteful("spite"))
            await pause(60_000)

    async def body():
        await t.outcome("block", block())
        await t.outcome("next await", pause(10))

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("outside")
    await t.outcome("task", task)


@scenario("TG11", since=(3, 13), expected=["10 block: group[error no]", "10 cancelling: 0", "20 afterwards: rested"])
async def a_handled_failure_leaves_no_request_behind(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.fail(10, "no"))

    await t.outcome("block", block())
    t.value("cancelling", asyncio.current_task().cancelling())
    await t.nap("afterwards", 10)


@scenario("TG12")
async def groups_nest(t):
    async with asyncio.TaskGroup() as outer:
        outer.create_task(t.nap("outer", 30))
        async with asyncio.TaskGroup() as inner:
            inner.create_task(t.nap("inner", 10))
        t.tell("inner ends")
    t.tell("outer ends")


@scenario("TG12")
async def an_inner_group_fails(t):
    async def block():
        async with asyncio.TaskGroup() as outer:
            outer.create_task(t.nap("cousin", 60_000))
            async with asyncio.TaskGroup() as inner:
                inner.create_task(t.fail(10, "deep"))

    await t.outcome("block", block())


@scenario("TG12")
async def an_outer_group_fails(t):
    async def block():
        async with asyncio.TaskGroup() as outer:
            outer.create_task(t.fail(10, "no"))
            async with asyncio.TaskGroup() as inner:
                inner.create_task(t.nap("deep", 60_000))

    await t.outcome("block", block())


@scenario("TG12")
async def both_groups_fail(t):
    async def block():
        async with asyncio.TaskGroup() as outer:
            outer.create_task(t.fail(10, "outer"))
            async with asyncio.TaskGroup() as inner:
                inner.create_task(t.spiteful("inner"))

    await t.outcome("block", block())


@scenario("TG14")
async def a_body_raises_a_cancellation_itself(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.nap("child", 60_000))
            await pause(10)
            raise asyncio.CancelledError("own")

    await t.outcome("block", block())


@scenario("TG15")
async def a_timeout_around_a_group(t):
    async def block():
        async with asyncio.timeout(0.01):
            async with asyncio.TaskGroup() as tg:
                tg.create_task(t.tidy("child", 20))

    await t.outcome("block", block())


@scenario("TG15")
async def a_timeout_around_a_group_that_fails_in_clean_up(t):
    async def block():
        async with asyncio.timeout(0.01):
            async with asyncio.TaskGroup() as tg:
                tg.create_task(t.spiteful("spite"))

    await t.outcome("block", block())


@scenario("TG16")
async def a_child_has_its_name(t):
    async with asyncio.TaskGroup() as tg:
        t.value("name", tg.create_task(pause(1), name="child").get_name())


@scenario("TG18", since=(3, 15), expected=["10 child: cancelled", "10 body: cancelled", "10 block: ()"])
async def a_group_is_cancelled(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.nap("child", 60_000))
            asyncio.get_running_loop().call_later(0.01, tg.cancel)
            await t.nap("body", 60_000)

    await t.outcome("block", block())


@scenario("TG18", since=(3, 15), expected=["10 child: cancelled", "10 block: ()"])
async def a_group_is_cancelled_from_its_body(t):
    async def block():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(t.nap("child", 60_000))
            await pause(10)
            tg.cancel()

    await t.outcome("block", block())
