"""Streams: readers that are fed by hand, and connections over Unix sockets, which have no delays of their own."""

import asyncio
import tempfile
from pathlib import Path

from recorder import Boom, pause, scenario

HUGE = 4_000_000


def fed(*pieces, limit=2**16, eof=True):
    reader = asyncio.StreamReader(limit=limit)
    for piece in pieces:
        reader.feed_data(piece)
    if eof:
        reader.feed_eof()
    return reader


class Served:
    """A server, and its address."""

    def __init__(self, callback):
        self.callback = callback

    async def __aenter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "socket"
        self.server = await asyncio.start_unix_server(self.callback, self.path)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.folder.cleanup()

    async def connect(self):
        return await asyncio.open_unix_connection(self.path)


@scenario("ST1")
async def a_reader_needs_a_limit(t):
    t.attempt("zero", asyncio.StreamReader, 0)


@scenario("ST1")
async def read_returns_what_is_there(t):
    reader = fed(b"abc", b"def")
    t.value("none", await reader.read(0))
    t.value("some", await reader.read(4))
    t.value("the rest", await reader.read(100))
    t.value("end", reader.at_eof())
    t.value("nothing", await reader.read(100))


@scenario("ST1")
async def read_to_the_end(t):
    reader = fed(b"abc", eof=False)
    task = asyncio.create_task(reader.read(-1))
    await pause(10)
    reader.feed_data(b"def")
    await pause(10)
    reader.feed_eof()
    await t.outcome("all", task)


@scenario("ST1")
async def read_waits_for_something(t):
    reader = fed(eof=False)
    task = asyncio.create_task(t.outcome("read", reader.read(100)))
    await pause(10)
    reader.feed_data(b"abc")
    await task
    task = asyncio.create_task(t.outcome("read", reader.read(100)))
    await pause(10)
    reader.feed_eof()
    await task


@scenario("ST1")
async def readexactly_is_exact(t):
    reader = fed(b"abcd", b"efgh")
    t.value("none", await reader.readexactly(0))
    t.value("six", await reader.readexactly(6))
    await t.outcome("four", reader.readexactly(4))
    t.value("end", reader.at_eof())
    await t.outcome("one", reader.readexactly(1))


@scenario("ST1")
async def readexactly_may_exceed_the_limit(t):
    reader = fed(b"0123456789", limit=2)
    t.value("eight", await reader.readexactly(8))


@scenario("ST1")
async def readuntil_a_separator(t):
    reader = fed(b"one\r", b"\ntwo\r\n", b"three")
    t.value("one", await reader.readuntil(b"\r\n"))
    t.value("two", await reader.readuntil(b"\r\n"))
    await t.outcome("three", reader.readuntil(b"\r\n"))
    t.value("end", reader.at_eof())


@scenario("ST1")
async def readuntil_waits_for_a_separator_in_parts(t):
    reader = fed(eof=False)
    task = asyncio.create_task(t.outcome("piece", reader.readuntil(b"END")))
    for part in (b"on", b"eE", b"N", b"ENE", b"ND", b"x"):
        await pause(10)
        reader.feed_data(part)
    await task
    reader.feed_eof()
    t.value("rest", await reader.read(100))


@scenario("ST1")
async def readuntil_a_separator_too_far_away(t):
    reader = fed(b"12345678;rest", limit=5)
    await t.outcome("piece", reader.readuntil(b";"))
    t.value("it is all there", await reader.readexactly(9))


@scenario("ST1")
async def readuntil_a_separator_that_does_not_come(t):
    reader = fed(b"12345678", limit=5, eof=False)
    await t.outcome("one byte", reader.readuntil(b";"))
    await t.outcome("three bytes", reader.readuntil(b";;;"))
    reader.feed_data(b";")
    t.value("it is all there", await reader.readexactly(9))


@scenario("ST1")
async def readuntil_the_limit_itself(t):
    reader = fed(b"12345;123456;", limit=5)
    await t.outcome("five", reader.readuntil(b";"))
    await t.outcome("six", reader.readuntil(b";"))


@scenario("ST1")
async def readuntil_nothing(t):
    reader = fed(b"abc")
    await t.outcome("empty", reader.readuntil(b""))


SEVERAL = (
    '0 first: "one\\n"',
    '0 second: "two\\r\\n"',
    '0 longer and shorter: "abcd"',
    "0 none: misuse",
    "0 an empty one: misuse",
    '0 at the end: incomplete "x" of some',
)


@scenario("ST1", since=(3, 13), expected=SEVERAL)
async def readuntil_one_of_several(t):
    reader = fed(b"one\ntwo\r\n", b"abcd", b"x")
    t.value("first", await reader.readuntil((b"\r\n", b"\n")))
    t.value("second", await reader.readuntil((b"\r\n", b";")))
    t.value("longer and shorter", await reader.readuntil((b"abcdx", b"cd")))
    await t.outcome("none", reader.readuntil(()))
    await t.outcome("an empty one", reader.readuntil((b"", b"x")))
    await t.outcome("at the end", reader.readuntil((b"y", b"z")))


@scenario("ST1")
async def readline_to_the_end(t):
    reader = fed(b"one\ntw", b"o\n\nthree")
    for _ in range(5):
        t.value("line", await reader.readline())


@scenario("ST1")
async def readline_drops_a_line_that_is_too_long(t):
    reader = fed(b"12345678\nshort\n", limit=6)
    await t.outcome("long", reader.readline())
    await t.outcome("short", reader.readline())


@scenario("ST1")
async def readline_drops_what_has_come_of_a_line_that_is_too_long(t):
    reader = fed(b"12345678", limit=6, eof=False)
    await t.outcome("long", reader.readline())
    reader.feed_data(b"9\nshort\n")
    await t.outcome("its end", reader.readline())
    await t.outcome("short", reader.readline())


@scenario("ST1")
async def a_cancelled_readline_keeps_what_has_come(t):
    reader = fed(b"half", eof=False)
    task = asyncio.create_task(reader.readline())
    await pause(10)
    task.cancel()
    await t.outcome("cancelled", task)
    reader.feed_data(b" and half\n")
    t.value("line", await reader.readline())


@scenario("ST1")
async def a_readline_without_time_keeps_what_has_come(t):
    reader = fed(b"half", eof=False)
    await t.outcome("late", asyncio.wait_for(reader.readline(), 0.01))
    reader.feed_data(b" and half\n")
    t.value("line", await reader.readline())


@scenario("ST1")
async def a_cancelled_read_to_the_end_keeps_what_has_come(t):
    reader = fed(b"half", eof=False)
    task = asyncio.create_task(reader.read(-1))
    await pause(10)
    task.cancel()
    await t.outcome("cancelled", task)
    reader.feed_data(b" and half")
    reader.feed_eof()
    t.value("all", await reader.read(-1))


@scenario("ST1")
async def an_error_comes_after_what_came_before_it(t):
    reader = fed(b"whole\nha", eof=False)
    reader.set_exception(Boom("cut"))
    await t.outcome("line", reader.readline())
    await t.outcome("line", reader.readline())


@scenario("ST1")
async def an_error_wakes_who_waits(t):
    reader = fed(eof=False)
    task = asyncio.create_task(t.outcome("read", reader.read(1)))
    await pause(10)
    reader.set_exception(Boom("cut"))
    await task
    await t.outcome("again", reader.read(1))


@scenario("ST2")
async def lines_until_the_end(t):
    reader = fed(b"one\ntwo\n", b"three")
    async for line in reader:
        t.value("line", line)


class Paused:
    """A transport that is told to pause."""

    paused = False

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False


@scenario("ST3")
async def too_much_pauses_and_little_enough_resumes(t):
    transport = Paused()
    reader = fed(limit=4, eof=False)
    reader.set_transport(transport)
    for n in (8, 1):
        reader.feed_data(b"x" * n)
        t.value("paused", transport.paused)
    for n in (4, 1):
        await reader.readexactly(n)
        t.value("paused", transport.paused)


@scenario("ST3")
async def who_wants_more_resumes(t):
    transport = Paused()
    reader = fed(b"x" * 9, limit=4, eof=False)
    reader.set_transport(transport)
    reader.feed_data(b"x")
    t.value("paused", transport.paused)
    task = asyncio.create_task(reader.readexactly(20))
    await pause(10)
    t.value("paused", transport.paused)
    reader.feed_data(b"x" * 10)
    t.value("sizes", len(await task))


@scenario("ST3", unordered=True)
async def drain_waits_for_a_slow_reader(t):
    go = asyncio.Event()

    async def callback(reader, writer):
        await go.wait()
        t.value("read", len(await reader.read(-1)))
        writer.close()

    async with Served(callback) as served:
        reader, writer = await served.connect()
        writer.write(b"x" * 100)
        await writer.drain()
        t.tell("little is drained at once")
        writer.write(b"x" * HUGE)
        await t.outcome("drain", asyncio.wait_for(writer.drain(), 0.01))
        several = [asyncio.create_task(writer.drain()) for _ in range(3)]
        await pause(10)
        t.value("done", [task.done() for task in several])
        go.set()
        await asyncio.gather(*several)
        t.tell("drained")
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()


@scenario("ST3")
async def what_nobody_drains_is_sent_even_so(t):
    async def callback(reader, writer):
        t.value("read", len(await reader.read(-1)))
        writer.close()

    async with Served(callback) as served:
        reader, writer = await served.connect()
        writer.write(b"x" * HUGE)
        writer.write_eof()
        await reader.read()
        t.tell("answered")
        writer.close()


@scenario("ST3", unordered=True)
async def close_sends_the_rest(t):
    async def callback(reader, writer):
        await pause(10)
        t.value("read", len(await reader.read(-1)))
        writer.close()

    async with Served(callback) as served:
        _, writer = await served.connect()
        writer.write(b"x" * HUGE)
        writer.close()
        t.value("closing", writer.is_closing())
        await writer.wait_closed()
        t.tell("closed")
        await pause(10)


@scenario("ST3")
async def after_the_close_nothing_is_drained(t):
    async def callback(_, writer):
        writer.close()

    async with Served(callback) as served:
        _, writer = await served.connect()
        writer.close()
        await writer.wait_closed()
        await t.outcome("drain", writer.drain())


@scenario("ST3")
async def after_the_close_nothing_is_written(t):
    async def callback(_, writer):
        writer.close()

    async with Served(callback) as served:
        _, writer = await served.connect()
        writer.close()
        await writer.wait_closed()
        t.attempt("write", writer.write, b"lost")


@scenario("ST3")
async def after_the_end_nothing_is_written(t):
    async def callback(reader, writer):
        await reader.read(-1)
        writer.close()

    async with Served(callback) as served:
        reader, writer = await served.connect()
        t.value("can", writer.can_write_eof())
        writer.write_eof()
        writer.write_eof()
        t.attempt("write", writer.write, b"late")
        await reader.read()
        writer.close()


@scenario("ST4")
async def each_connection_has_its_coroutine(t):
    async def callback(reader, writer):
        writer.writelines([b"hello ", await reader.readline()])
        await writer.drain()
        writer.close()

    async with Served(callback) as served:
        for name in (b"one\n", b"two\n"):
            reader, writer = await served.connect()
            writer.write(name)
            t.value("answer", await reader.read(-1))
            writer.close()


@scenario("ST4")
async def an_error_of_the_callback_is_reported_and_closes(t):
    async def callback(reader, writer):
        await reader.readline()
        raise Boom("no")

    async with Served(callback) as served:
        reader, writer = await served.connect()
        writer.write(b"go\n")
        t.value("answer", await reader.read(-1))
        writer.close()


@scenario("ST4")
async def a_closed_server_refuses_and_lets_connections_go_on(t):
    async def callback(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    async with Served(callback) as served:
        t.value("serving", served.server.is_serving())
        reader, writer = await served.connect()
        await pause(10)
        served.server.close()
        t.value("serving", served.server.is_serving())
        await t.outcome("connect", served.connect())
        writer.write(b"still here\n")
        t.value("answer", await reader.read(-1))
        writer.close()


CLOSED = ("10 waits: true", "10 closed", '10 answer: "bye"', "10 server is closed")


@scenario("ST4", unordered=True, since=(3, 12, 1), expected=CLOSED)
async def wait_closed_waits_for_connections(t):
    told = asyncio.get_running_loop().create_future()

    async def callback(reader, writer):
        writer.write(await reader.readexactly(3))
        writer.close()
        await writer.wait_closed()
        t.tell("closed")
        told.set_result(None)

    async with Served(callback) as served:
        reader, writer = await served.connect()
        await pause(5)
        served.server.close()
        waiting = asyncio.create_task(served.server.wait_closed())
        await pause(5)
        t.value("waits", not waiting.done())
        writer.write(b"bye")
        t.value("answer", await reader.read(-1))
        writer.close()
        await waiting
        t.tell("server is closed")
        await told


@scenario("ST4", since=(3, 13), expected=('10 answer: "hello"', "10 server is closed"))
async def close_clients_closes_them(t):
    async def callback(reader, writer):
        writer.write(b"hello")
        await reader.read(-1)
        writer.close()

    async with Served(callback) as served:
        reader, writer = await served.connect()
        await pause(10)
        served.server.close()
        served.server.close_clients()
        t.value("answer", await reader.read(-1))
        writer.close()
        await served.server.wait_closed()
        t.tell("server is closed")


@scenario("ST4", since=(3, 13), expected=("10 server is closed", "10 all: 0"))
async def abort_clients_drops_the_rest(t):
    async def callback(reader, writer):
        writer.write(b"x" * HUGE)
        await reader.read(-1)

    async with Served(callback) as served:
        reader, writer = await served.connect()
        await pause(10)
        served.server.close()
        served.server.abort_clients()
        await served.server.wait_closed()
        t.tell("server is closed")
        size = len(await reader.read(-1))
        t.value("all", int(size == HUGE))
        writer.close()


@scenario("ST4")
async def serve_forever_closes_when_it_is_cancelled(t):
    async def callback(_, writer):
        writer.close()

    async with Served(callback) as served:
        task = asyncio.create_task(served.server.serve_forever())
        await pause(10)
        await t.outcome("twice", served.server.serve_forever())
        task.cancel()
        await t.outcome("serve_forever", task)
        t.value("serving", served.server.is_serving())
        await t.outcome("again", served.server.serve_forever())
        await t.outcome("connect", served.connect())


@scenario("ST4")
async def serve_forever_ends_when_the_server_is_closed(t):
    async def callback(_, writer):
        writer.close()

    async with Served(callback) as served:
        task = asyncio.create_task(served.server.serve_forever())
        await pause(10)
        served.server.close()
        await t.outcome("serve_forever", task)


@scenario("ST5")
async def a_connection_is_refused(t):
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    server.close()
    await t.outcome("connect", asyncio.open_connection(*address))


@scenario("ST5")
async def there_is_nobody_at_a_path(t):
    await t.outcome("connect", asyncio.open_unix_connection("/nobody/listens/here"))
