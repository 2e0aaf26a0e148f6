"""Signal handlers of the loop. Unix only."""

import asyncio
import contextvars
import signal

from recorder import Boom, pause, scenario

VAR = contextvars.ContextVar("var", default=0)


def loop():
    return asyncio.get_running_loop()


@scenario("L6")
async def a_signal_calls_its_handler(t):
    loop().add_signal_handler(signal.SIGUSR1, t.tell, "called")
    for _ in range(2):
        signal.raise_signal(signal.SIGUSR1)
        t.tell("raised")
        await pause(1)


@scenario("L6")
async def a_handler_is_called_while_the_loop_sleeps(t):
    loop().add_signal_handler(signal.SIGUSR1, t.tell, "called")
    loop().call_later(0.01, signal.raise_signal, signal.SIGUSR1)
    await pause(20)
    t.tell("slept")


@scenario("L6")
async def each_signal_has_its_own_handler(t):
    loop().add_signal_handler(signal.SIGUSR1, t.tell, "first")
    loop().add_signal_handler(signal.SIGUSR2, t.tell, "second")
    signal.raise_signal(signal.SIGUSR2)
    await pause(1)
    signal.raise_signal(signal.SIGUSR1)
    await pause(1)


@scenario("L6")
async def a_second_handler_replaces_the_first(t):
    loop().add_signal_handler(signal.SIGUSR1, t.tell, "first")
    loop().add_signal_handler(signal.SIGUSR1, t.tell, "second")
    signal.raise_signal(signal.SIGUSR1)
    await pause(1)


@scenario("L6")
async def removing_tells_whether_there_was_one(t):
    t.value("before", loop().remove_signal_handler(signal.SIGUSR1))
    loop().add_signal_handler(signal.SIGUSR1, t.tell, "called")
    t.value("there", loop().remove_signal_handler(signal.SIGUSR1))
    t.value("again", loop().remove_signal_handler(signal.SIGUSR1))


@scenario("L6")
async def a_handler_removes_itself(t):
    def handler():
        t.value("removed", loop().remove_signal_handler(signal.SIGUSR1))

    loop().add_signal_handler(signal.SIGUSR1, handler)
    signal.raise_signal(signal.SIGUSR1)
    await pause(1)
    t.value("again", loop().remove_signal_handler(signal.SIGUSR1))


@scenario("L6")
async def some_signals_cannot_be_caught(t):
    for number in (9, 19, 0, -1, 1000):
        t.attempt(f"add {number}", loop().add_signal_handler, number, t.tell, "called")


@scenario("L6")
async def removing_what_cannot_be_there(t):
    for number in (9, 0, -1, 1000):
        t.attempt(f"remove {number}", loop().remove_signal_handler, number)


@scenario("L6")
async def a_handler_that_fails_is_reported_and_stays(t):
    def handler():
        t.tell("called")
        raise Boom("broken")

    loop().add_signal_handler(signal.SIGUSR1, handler)
    for _ in range(2):
        signal.raise_signal(signal.SIGUSR1)
        await pause(1)


@scenario("L6")
async def a_handler_runs_in_a_copy_of_the_context(t):
    def handler():
        t.value("sees", VAR.get())
        VAR.set(3)

    VAR.set(1)
    loop().add_signal_handler(signal.SIGUSR1, handler)
    VAR.set(2)
    for _ in range(2):
        signal.raise_signal(signal.SIGUSR1)
        await pause(1)
    t.value("task sees", VAR.get())


@scenario("L6")
async def a_handler_takes_ctrl_c_from_run(t):
    loop().add_signal_handler(signal.SIGINT, t.tell, "called")
    signal.raise_signal(signal.SIGINT)
    await pause(1)
    t.tell("main goes on")
