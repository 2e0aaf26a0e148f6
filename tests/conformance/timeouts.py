"""timeout, timeout_at, Timeout."""

import asyncio

from recorder import HOUR, pause, scenario


def at(cm):
    return round((cm.when()) * 1000) if cm.when() is not None else "never"


@scenario("TO1")
async def a_block_in_time(t):
    async with asyncio.timeout(0.05) as cm:
        await t.nap("body", 10)
    t.value("expired", cm.expired())


@scenario("TO1")
async def a_block_without_a_deadline(t):
    async with asyncio.timeout(None) as cm:
        t.value("no deadline", cm.when() is None)
        await t.nap("body", 10_000)
    t.value("expired", cm.expired())


@scenario("TO1")
async def a_deadline_as_a_time_of_the_loop(t):
    async def block():
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + 0.02) as cm:
            t.value("when", at(cm))
            await pause(60_000)

    await t.outcome("block", block())


@scenario("TO1")
async def the_deadline_counts_from_entry(t):
    await pause(10)
    async with asyncio.timeout(0.02) as cm:
        t.value("when", at(cm))


@scenario("TO2")
async def no_time_and_no_wait(t):
    async with asyncio.timeout(0) as cm:
        t.tell("body")
    t.value("expired", cm.expired())


@scenario("TO2")
async def no_time_and_a_wait(t):
    async def block():
        async with asyncio.timeout(0):
            await pause(10)

    await t.outcome("block", block())


@scenario("TO2")
async def a_deadline_in_the_past(t):
    await pause(50)

    async def block():
        async with asyncio.timeout_at(asyncio.get_running_loop().time() - 0.02):
            await pause(10)

    await t.outcome("block", block())


@scenario("TO4")
async def an_expired_block(t):
    async def block():
        async with asyncio.timeout(0.02) as cm:
            try:
                await t.nap("body", 60_000)
            finally:
                t.value("expired", cm.expired())

    await t.outcome("block", block())
    t.value("cancelling", asyncio.current_task().cancelling())


@scenario("TO4")
async def the_task_goes_on_after_an_expired_block(t):
    async def block():
        async with asyncio.timeout(0.02):
            await pause(60_000)

    await t.outcome("block", block())
    await t.nap("afterwards", 10)


@scenario("TO4")
async def the_block_waits_for_clean_up(t):
    async def block():
        async with asyncio.timeout(0.02):
            await t.tidy("body", 30)

    await t.outcome("block", block())


@scenario("TO5")
async def a_swallowed_expiry(t):
    async with asyncio.timeout(0.02) as cm:
        await t.stubborn("body", 60_000)
    t.value("expired", cm.expired())
    t.value("cancelling", asyncio.current_task().cancelling())
    await t.nap("afterwards", 10)


@scenario("TO5")
async def an_expiry_is_delivered_once(t):
    async with asyncio.timeout(0.02) as cm:
        await t.stubborn("body", 60_000)
        await t.nap("still inside", 30)
    t.value("expired", cm.expired())


@scenario("TO6")
async def an_error_in_answer_to_an_expiry(t):
    async def block():
        async with asyncio.timeout(0.02):
            await t.spiteful("spite")

    await t.outcome("block", block())


@scenario("TO6")
async def an_error_in_time(t):
    async def block():
        async with asyncio.timeout(0.02):
            await t.fail(10, "no")

    await t.outcome("block", block())


@scenario("TO7")
async def cancelled_from_outside_in_time(t):
    async def body():
        async with asyncio.timeout(HOUR):
            await t.nap("body", 60_000)

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel("outside")
    await t.outcome("task", task)
    t.value("cancelling", task.cancelling())


@scenario("TO7")
async def cancelled_from_outside_while_expiring(t):
    async def body():
        async with asyncio.timeout(0.02):
            await t.tidy("body", 50)

    task = asyncio.create_task(body())
    await pause(30)
    task.cancel("outside")
    await t.outcome("task", task)


@scenario("TO8")
async def the_inner_block_is_shorter(t):
    async def inner():
        async with asyncio.timeout(0.01):
            await t.nap("body", 60_000)

    async with asyncio.timeout(0.05) as cm:
        await t.outcome("inner", inner())
        await t.nap("afterwards", 10)
    t.value("outer expired", cm.expired())


@scenario("TO8")
async def the_outer_block_is_shorter(t):
    async def outer():
        async with asyncio.timeout(0.01):
            async with asyncio.timeout(0.05) as cm:
                try:
                    await t.nap("body", 60_000)
                finally:
                    t.value("inner expired", cm.expired())

    await t.outcome("outer", outer())


@scenario("TO8")
async def equal_deadlines(t):
    async def inner():
        async with asyncio.timeout(0.01):
            await t.nap("body", 60_000)

    async def outer():
        async with asyncio.timeout(0.01):
            try:
                await inner()
            except asyncio.CancelledError as error:
                t.error("inner", error)
                raise

    await t.outcome("outer", outer())


@scenario("TO9")
async def after_a_swallowed_cancellation(t):
    async def block():
        async with asyncio.timeout(0.02):
            await pause(60_000)

    async def body():
        await t.stubborn("body", 60_000)
        t.value("cancelling", asyncio.current_task().cancelling())
        await t.outcome("block", block())
        t.value("cancelling", asyncio.current_task().cancelling())

    task = asyncio.create_task(body())
    await pause(10)
    task.cancel()
    await t.outcome("task", task)


@scenario("TO10")
async def moved_later(t):
    async with asyncio.timeout(0.02) as cm:
        await pause(10)
        cm.reschedule(cm.when() + 0.05)
        t.value("when", at(cm))
        await t.nap("body", 50)
    t.value("expired", cm.expired())


@scenario("TO10")
async def moved_earlier(t):
    async def block():
        async with asyncio.timeout(HOUR) as cm:
            cm.reschedule(asyncio.get_running_loop().time() + 0.01)
            await t.nap("body", 60_000)

    await t.outcome("block", block())


@scenario("TO10")
async def taken_away(t):
    async with asyncio.timeout(0.02) as cm:
        cm.reschedule(None)
        t.value("no deadline", cm.when() is None)
        await t.nap("body", 50)
    t.value("expired", cm.expired())


@scenario("TO10")
async def given_later_on(t):
    async def block():
        async with asyncio.timeout(None) as cm:
            await pause(10)
            cm.reschedule(asyncio.get_running_loop().time() + 0.01)
            await t.nap("body", 60_000)

    await t.outcome("block", block())


@scenario("TO10")
async def moved_into_the_past(t):
    async def block():
        async with asyncio.timeout(HOUR) as cm:
            await pause(20)
            cm.reschedule(asyncio.get_running_loop().time() - 0.01)
            await t.nap("body", 60_000)

    await t.outcome("block", block())


@scenario("TO10")
async def moved_by_another_task(t):
    cell = []

    async def block():
        async with asyncio.timeout(HOUR) as cm:
            cell.append(cm)
            await t.nap("body", 60_000)

    task = asyncio.create_task(block())
    await pause(10)
    cell[0].reschedule(asyncio.get_running_loop().time() + 0.01)
    await t.outcome("block", task)


@scenario("TO10")
async def moved_when_it_is_over(t):
    async with asyncio.timeout(HOUR) as cm:
        pass
    t.attempt("reschedule", cm.reschedule, 1.0)


@scenario("TO10")
async def moved_while_it_expires(t):
    async def block():
        async with asyncio.timeout(0.01) as cm:
            await t.stubborn("body", 60_000)
            t.attempt("reschedule", cm.reschedule, 1.0)

    await t.outcome("block", block())


@scenario("TO8")
async def blocks_in_sequence(t):
    async def block(n):
        async with asyncio.timeout(0.01):
            await pause(60_000)

    for n in range(3):
        await t.outcome(f"block {n}", block(n))


@scenario("TO4")
async def an_expired_block_around_a_task(t):
    task = asyncio.create_task(t.nap("task", 60_000))

    async def block():
        async with asyncio.timeout(0.01):
            await task

    await t.outcome("block", block())
    t.value("cancelled", task.cancelled())


@scenario("TO4")
async def an_expired_block_around_a_gathering(t):
    async def block():
        async with asyncio.timeout(0.01):
            await asyncio.gather(t.nap("quick", 5), t.nap("slow", 60_000))

    await t.outcome("block", block())
