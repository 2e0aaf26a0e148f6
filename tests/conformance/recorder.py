"""Runs scenarios on CPython's asyncio under a virtual clock, and keeps what they tell."""

import asyncio
import importlib
import json
import selectors
import sys
from pathlib import Path

HERE = Path(__file__).parent
GROUPS = ("tasks", "futures", "gathering", "waiting", "deadlines", "shields", "timeouts", "groups", "eager", "loops", "threads", "streams", "graphs", "signals",)
HOUR = 3600.0


class Boom(Exception):
    """An error of the scenario's own."""


class JumpingSelector(selectors.SelectSelector):
    """Never waits for time: the clock jumps to the next timer. Only threads are waited for."""

    loop = None

    def select(self, timeout=None):
        if timeout is None or (self.loop.threads and timeout > 0):
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose hour passes at once."""

    def __init__(self):
        self.now = 0.0
        self.threads = 0
        selector = JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now


class Trace:
    """What happened, and when."""

    def __init__(self, loop):
        self.loop = loop
        self.lines = []

    def tell(self, what):
        self.lines.append(f"{round(self.loop.now * 1000)} {what}")

    def value(self, who, value):
        self.tell(f"{who}: {show(value)}")

    async def outcome(self, who, aw):
        """Awaits, and tells how that ended."""
        try:
            value = await aw
        except BaseException as error:
            self.error(who, error)
            return None
        self.value(who, value)
        return value

    def attempt(self, who, function, *args):
        """Calls, and tells how that ended."""
        try:
            self.value(who, function(*args))
        except BaseException as error:
            self.error(who, error)

    def error(self, who, error):
        self.tell(f"{who}: {describe(error)}")

    # The parts that scenarios share.

    async def nap(self, who, ms, value=None):
        """Sleeps, and tells whether it was let."""
        try:
            await asyncio.sleep(ms / 1000)
        except asyncio.CancelledError as error:
            self.error(who, error)
            raise
        self.tell(f"{who}: rested")
        return value

    async def stubborn(self, who, ms, value=None):
        """Takes a cancellation for a wake-up call."""
        try:
            await asyncio.sleep(ms / 1000)
        except asyncio.CancelledError as error:
            self.error(who, error)
        return value

    async def tidy(self, who, ms):
        """Sleeps for ever; once cancelled, cleans up for some time."""
        try:
            await asyncio.sleep(HOUR)
        except asyncio.CancelledError:
            self.tell(f"{who}: cleaning")
            await asyncio.sleep(ms / 1000)
            self.tell(f"{who}: clean")
            raise

    async def fail(self, ms, message):
        await asyncio.sleep(ms / 1000)
        raise Boom(message)

    async def spiteful(self, message):
        """Answers a cancellation with an error."""
        try:
            await asyncio.sleep(HOUR)
        except asyncio.CancelledError:
            raise Boom(message) from None


async def pause(ms):
    await asyncio.sleep(ms / 1000)


def message_of(context):
    """Without the callback's repr, which differs from run to run."""
    message = context["message"]
    return "Exception in callback" if message.startswith("Exception in callback") else message


def show(value):
    if value is None:
        return "()"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bytes):
        return json.dumps(value.decode())
    if isinstance(value, list):
        return "[" + ", ".join(map(show, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(show, value)) + ")"
    if isinstance(value, BaseException):
        return describe(value)
    return str(value)


def describe(error):
    if isinstance(error, asyncio.CancelledError):
        return f"cancelled {error.args[0]}" if error.args and error.args[0] else "cancelled"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, asyncio.InvalidStateError):
        return "invalid state"
    if isinstance(error, BaseExceptionGroup):
        return "group[" + ", ".join(map(describe, error.exceptions)) + "]"
    if isinstance(error, Boom):
        return f"error {error}"
    if isinstance(error, asyncio.IncompleteReadError):
        return f"incomplete {show(error.partial)} of {error.expected or 'some'}"
    if isinstance(error, asyncio.LimitOverrunError):
        return f"overrun after {error.consumed}"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "connection lost"
    if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
        return "refused"
    if isinstance(error, (RuntimeError, ValueError, TypeError)):
        return "misuse"
    raise error


class Scenario:
    def __init__(self, function, rows, unordered, since, expected):
        self.name = function.__name__
        self.function = function
        self.rows = rows
        self.unordered = unordered
        self.since = since
        self.expected = expected

    def heading(self):
        return f"== {self.name} ({self.rows}{'; one instant in any order' if self.unordered else ''})"

    def lines(self):
        """The trace. Where the Python at hand is too old for what asyncio does today, what is known of a newer one."""
        if self.since is not None and sys.version_info < self.since:
            return list(self.expected)
        lines = self.run()
        if self.expected is not None and lines != list(self.expected):
            raise SystemExit(f"{self.name}: this Python does not do what was pinned:\n" + "\n".join(lines))
        return lines

    def run(self):
        loop = VirtualLoop()
        trace = Trace(loop)
        loop.set_exception_handler(lambda _, context: trace.tell(f"report: {message_of(context)}"))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                runner.run(self.function(trace))
            except BaseException as error:
                trace.error("main", error)
        return trace.lines


SCENARIOS = {}


def scenario(rows, *, unordered=False, since=None, expected=None):
    """A scenario and the rows that it is about.

    `unordered`: the order within one instant is nobody's promise. `since` and `expected`: the first version that behaves as 3.14
    does, and what it tells; older ones do not record it.
    """

    def register(function):
        SCENARIOS.setdefault(function.__module__, []).append(Scenario(function, rows, unordered, since, expected))
        return function

    return register


def record(group):
    importlib.import_module(group)
    scenarios = SCENARIOS[group]
    names = [scenario.name for scenario in scenarios]
    assert len(names) == len(set(names)), f"{group}: a name was given twice"
    return "\n".join("\n".join([it.heading(), *it.lines(), ""]) for it in scenarios)
