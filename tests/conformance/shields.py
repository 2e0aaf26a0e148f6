"""shield."""

import asyncio

from recorder import pause, scenario


@scenario("S1")
async def a_shielded_task_returns_its_value(t):
    await t.outcome("shield", asyncio.shield(t.nap("inner", 10, 1)))


@scenario("S1")
async def a_done_task_is_shielded(t):
    task = asyncio.create_task(t.nap("inner", 10, 1))
    await pause(20)
    await t.outcome("shield", asyncio.shield(task))


@scenario("S1")
async def a_failing_task_is_shielded(t):
    await t.outcome("shield", asyncio.shield(t.fail(10, "no")))


@scenario("S2")
async def the_awaiter_is_cancelled_and_the_task_goes_on(t):
    inner = asyncio.create_task(t.nap("inner", 30, 1))

    async def body():
        await asyncio.shield(inner)

    outer = asyncio.create_task(body())
    await pause(10)
    outer.cancel("outer")
    await t.outcome("outer", outer)
    t.value("inner cancelling", inner.cancelling())
    await t.outcome("inner", inner)


@scenario("S2")
async def a_shielded_coroutine_goes_on(t):
    async def body():
        await asyncio.shield(t.nap("inner", 30, 1))

    outer = asyncio.create_task(body())
    await pause(10)
    outer.cancel()
    await t.outcome("outer", outer)
    await pause(30)


@scenario("S2")
async def it_can_be_awaited_again(t):
    inner = asyncio.create_task(t.nap("inner", 30, 1))

    async def body():
        await t.outcome("first", asyncio.shield(inner))
        await t.outcome("second", inner)

    outer = asyncio.create_task(body())
    await pause(10)
    outer.cancel()
    await outer


@scenario("S3")
async def the_task_itself_is_cancelled(t):
    inner = asyncio.create_task(pause(60_000))

    async def body():
        await asyncio.shield(inner)

    outer = asyncio.create_task(body())
    await pause(10)
    inner.cancel()
    await t.outcome("outer", outer)
    t.value("cancelled", outer.cancelled())
    t.value("cancelling", outer.cancelling())


@scenario("S3")
async def the_message_of_the_task_behind_a_shield(t):
    inner = asyncio.create_task(pause(60_000))
    outer = asyncio.create_task(t.outcome("shield", asyncio.shield(inner)))
    await pause(10)
    inner.cancel("inner")
    await outer


@scenario("S4", since=(3, 14), expected=["10 outer: cancelled", "30 report: Boom exception in shielded future", "40 main ends"])
async def the_task_fails_when_nobody_waits_any_more(t):
    async def body():
        await asyncio.shield(t.fail(30, "lost"))

    outer = asyncio.create_task(body())
    await pause(10)
    outer.cancel()
    await t.outcome("outer", outer)
    await pause(30)
    t.tell("main ends")


@scenario("S5", unordered=True)
async def two_shields_of_one_task_are_independent(t):
    inner = asyncio.create_task(t.nap("inner", 30, 1))
    first = asyncio.create_task(t.outcome("first", asyncio.shield(inner)))
    await pause(10)
    first.cancel()
    await first
    await t.outcome("second", asyncio.shield(inner))


@scenario("S2")
async def a_shield_inside_a_timeout(t):
    inner = asyncio.create_task(t.nap("inner", 30, 1))

    async def body():
        async with asyncio.timeout(0.01):
            await asyncio.shield(inner)

    await t.outcome("timeout", body())
    await t.outcome("inner", inner)
