"""The servers of a campaign, in a process of their own: the simulator, and raw sockets beside it.

``python -m faults.server`` prints where they listen and whom to trust, as JSON, and answers each
line of its input with its counters, until the input ends.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from email.utils import formatdate
from typing import Any, TypeAlias

import attrs
import trustme
from aiohttp import web

from gradient_async.testing import Fault, Fleet, Simulator
from gradient_async.testing._answers import SimulatedAnswer
from gradient_async.testing._faults import Action, OpenExchange

from .kinds import HEADER

Reply: TypeAlias = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

DROPLETS = 300
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def fleet() -> Fleet:
    """Make the simulated account, the same in every process."""
    return Fleet.generate(DROPLETS, seed=1)


def _changed(**changes: Any) -> Action:
    """Answer as usual but for the body, the content type or the headers."""

    async def act(exchange: OpenExchange) -> web.StreamResponse:
        headers = changes.get("headers")
        answer = exchange.usual()
        if "content_type" in changes:
            answer = attrs.evolve(answer, content_type=changes["content_type"])
        if "body" in changes:
            answer = attrs.evolve(answer, body=changes["body"](answer.body))
        return exchange.send(answer, headers)

    return act


def _redirect(location: Callable[[OpenExchange], str | None]) -> Action:
    """Redirect to where a function says."""

    async def act(exchange: OpenExchange) -> web.StreamResponse:
        where = location(exchange)
        headers = {} if where is None else {"location": where}
        return exchange.send(SimulatedAnswer(302, b""), headers)

    return act


def _there_and_back(exchange: OpenExchange) -> str:
    """Lead from one URL to another and back again."""
    path = exchange.request.raw_path
    mark = "&there=1" if "?" in path else "?there=1"
    return path.removesuffix(mark) if path.endswith(mark) else path + mark


def _later(exchange: OpenExchange) -> str:
    """Lead to the same path with another query each time."""
    path = exchange.request.raw_path
    return f"{path}{'&' if '?' in path else '?'}again=1"


def _statuses() -> dict[str, Action]:
    codes = (400, 401, 403, 404, 408, 409, 422, 500, 501, 502, 503, 504, 599)
    made = {str(code): Fault.status(code) for code in codes}
    made |= {f"{code} html": Fault.status(code, html=True) for code in (500, 501, 502, 503, 504)}
    for name, value in (
        ("503 retry-after", "0.01"),
        ("503 long retry-after", "120"),
        ("503 garbage retry-after", "soon"),
    ):
        made[name] = Fault.status(503, headers={"retry-after": value})
    return {name: fault.act for name, fault in made.items()}


def _limits() -> dict[str, Action]:
    past = 1_000_000_000

    async def dated(exchange: OpenExchange) -> web.StreamResponse | None:
        return await Fault.rate_limited(formatdate(usegmt=True), reset=past).act(exchange)

    made = {
        "429 short": Fault.rate_limited(0.01),
        "429 none": Fault.rate_limited(),
        "429 reset in the past": Fault.rate_limited(reset=past),
        "429 garbage": Fault.rate_limited("garbage", reset=past),
        "429 negative": Fault.rate_limited("-7", reset=past),
        "429 enormous": Fault.rate_limited("9" * 30),
        "429 for all": Fault.rate_limited(0.01),
    }
    return {"429 date": dated, **{name: fault.act for name, fault in made.items()}}


def _bodies() -> dict[str, Action]:
    made = {
        "html": Fault.status(200, html=True),
        "empty": Fault.body(b""),
        "nested arrays": Fault.nested(100_000),
        "nested objects": Fault.nested(50_000, opening=b'{"meta":'),
        "wrong types": Fault.body(b'{"meta": [], "backups": 7, "policy": "none"}'),
        "null": Fault.body(b"null"),
        "another answer": Fault.body(b'{"supported_policies": []}'),
        "no utf-8": Fault.body(b'{"meta": {"total": "\xff\xfe"}, "policy": "\xc3("}'),
        "utf-16": Fault.body('{"meta": {"total": 0}}'.encode("utf-16")),
        "204": Fault.body(b"", status=204),
        "gzip lie": Fault.body(b'{"meta": {}, "policy": {}}', encoding="gzip"),
        "deflate lie": Fault.body(b'{"meta": {}, "policy": {}}', encoding="deflate"),
        "gzip bomb": Fault.gzip_bomb(8 * 1024 * 1024),
    }
    return {
        **{name: fault.act for name, fault in made.items()},
        "truncated": _changed(body=lambda body: body[: len(body) // 2]),
        "gzip cut": _changed(
            body=lambda body: gzip.compress(body)[:-20], headers={"content-encoding": "gzip"}
        ),
        "as html": _changed(content_type="text/html"),
        "as nothing": _changed(content_type=""),
        "unknown charset": _changed(content_type="application/json; charset=martian"),
        "unknown encoding": _changed(headers={"content-encoding": "martian"}),
    }


def _cuts() -> dict[str, Action]:
    made = {
        "reset before the answer": Fault.drop("request"),
        "closed before the answer": Fault.drop("request", reset=False),
        "reset in the headers": Fault.drop("in_headers"),
        "closed in the headers": Fault.drop("in_headers", reset=False),
        "reset after the headers": Fault.drop("headers"),
        "closed after the headers": Fault.drop("headers", reset=False),
        "reset in the body": Fault.drop("body"),
        "closed in the body": Fault.drop("body", reset=False),
        "short body": Fault.short_body(),
        "chunks cut": Fault.broken_chunks(),
        "chunks reset": Fault.broken_chunks(reset=True),
        "stall before the answer": Fault.hold("request"),
        "stall after the headers": Fault.hold("headers"),
        "stall in the body": Fault.hold("body"),
        "drip": Fault.drip(1, 0.05),
        "long header": Fault.flood_headers(),
        "many headers": Fault.flood_headers(count=2000, size=10),
        "closed while idle": Fault.close_after(),
    }
    return {name: fault.act for name, fault in made.items()}


def simulated(elsewhere: str) -> dict[str, Action]:
    """Give the faults that the simulator makes; ``elsewhere`` is another origin."""

    def other_scheme(exchange: OpenExchange) -> str:
        return f"https://{exchange.request.host}{exchange.request.raw_path}"

    return {
        **_statuses(),
        **_limits(),
        **_bodies(),
        **_cuts(),
        "redirect to itself": _redirect(lambda exchange: exchange.request.raw_path),
        "redirect in a circle": _redirect(_there_and_back),
        "redirect to the same origin": _redirect(_later),
        "redirect to another origin": _redirect(lambda exchange: elsewhere),
        "redirect to another scheme": _redirect(other_scheme),
        "redirect to nowhere": _redirect(lambda _: None),
    }


class Marked:
    """Which fault a request asks for, and how many of its tries have met it."""

    def __init__(self) -> None:
        self.tries: Counter[str] = Counter()

    def kind(self, header: str) -> str | None:
        """Give the fault that this try meets, ``None`` for none."""
        number, kind, faults = header.split("/")
        self.tries[number] += 1
        return kind if kind and self.tries[number] <= int(faults) else None


def campaign_fault(actions: dict[str, Action], marked: Marked) -> Fault:
    """Give the fault that acts as each request's header asks."""

    async def act(exchange: OpenExchange) -> web.StreamResponse | None:
        """Do what the header asks for, once for each of its tries."""
        kind = marked.kind(exchange.request.headers.get(HEADER, "//0"))
        return None if kind is None else await actions[kind](exchange)

    return Fault("campaign", act)


def raw_answer(path: str) -> bytes:
    """Give the JSON of an endpoint for the Droplet that its path names."""
    droplet_id = int(path.split("/")[3])
    if path.split("?")[0].endswith("/policy"):
        return json.dumps({"policy": {"droplet_id": droplet_id, "backup_enabled": False}}).encode()
    backup = {
        "created_at": "2026-08-01T00:00:00Z",
        "min_disk_size": 720,
        "name": f"backup of {droplet_id}",
        "regions": ["nyc2"],
        "size_gigabytes": 1.5,
        "type": "backup",
    }
    backups = [{"id": 10 * droplet_id + number, **backup} for number in range(2)]
    return json.dumps({"backups": backups, "links": {}, "meta": {"total": 2}}).encode()


def whole(body: bytes) -> bytes:
    """Give a whole answer that keeps the connection."""
    return b"%bContent-Length: %d\r\n\r\n%b" % (OK, len(body), body)


def _bytes(make: Callable[[bytes], bytes]) -> Reply:
    """Answer with what a function makes of the usual body, and close."""

    async def reply(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(make(body))
        await writer.drain()
        writer.close()

    return reply


async def _endless(writer: asyncio.StreamWriter, piece: bytes) -> None:
    for _ in range(64 * 1024 * 1024 // len(piece)):
        writer.write(piece)
        await writer.drain()


async def _endless_headers(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    await _endless(writer, b"".join(b"x-%d: filler\r\n" % number for number in range(500)))


async def _endless_body(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await _endless(writer, b"10000\r\n" + b" " * 0x10000 + b"\r\n")


async def _with_interim_answers(body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" + whole(body))


async def _with_too_many(body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(whole(body) + whole(raw_answer("/v2/droplets/7/backups")))


async def _with_half_too_many(body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(whole(body))
    await writer.drain()
    writer.write(whole(raw_answer("/v2/droplets/7/backups"))[:-30])


async def _byte_by_byte(body: bytes, writer: asyncio.StreamWriter) -> None:
    for byte in whole(body):
        if writer.is_closing():  # asyncio would log what is written then
            return
        writer.write(bytes([byte]))
        await asyncio.sleep(0)


def _chunked(size: bytes) -> Callable[[bytes], bytes]:
    return lambda body: OK + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + body


RAW: dict[str, Reply] = {
    "no http": _bytes(lambda _: b"SSH-2.0-OpenSSH_9.9\r\n"),
    "garbage": _bytes(lambda _: zlib.compress(bytes(range(256)) * 4) * 3 + b"\r\n\r\n"),
    "bad content-length": _bytes(lambda body: OK + b"Content-Length: -5\r\n\r\n" + body),
    "two content-lengths": _bytes(
        lambda body: OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n" + body
    ),
    "bad chunk size": _bytes(_chunked(b"zz")),
    "null in a header": _bytes(lambda body: OK + b"X-Null: \0\r\n\r\n" + body),
    "endless headers": _endless_headers,
    "endless body": _endless_body,
    "interim answers": _with_interim_answers,
    "an answer too many": _with_too_many,
    "half of an answer too many": _with_half_too_many,
    "one byte a packet": _byte_by_byte,
}


async def _to_plain(_: bytes, writer: asyncio.StreamWriter) -> None:
    port = writer.get_extra_info("sockname")[1]
    writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n")
    writer.write(b"Location: http://127.0.0.1:%d/v2/droplets/1/backups\r\n\r\n" % port)


async def _abort(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


SECURE: dict[str, Reply] = {"redirect out of TLS": _to_plain, "reset in TLS": _abort}


class RawServer:
    """Sends the API's answers, and the raw faults, without an HTTP library."""

    def __init__(self, marked: Marked) -> None:
        self._marked = marked
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.open += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(head, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        body = raw_answer(first.split(" ")[1])
        kind = self._marked.kind(headers[HEADER])
        if kind is None:
            writer.write(whole(body))
        else:
            await (RAW | SECURE)[kind](body, writer)
        await writer.drain()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset a connection as soon as it is there."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def refuse_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever comes as a server does that knows no TLS."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    writer.close()


class Canary:
    """A server of another origin, which counts who comes; nobody should."""

    def __init__(self) -> None:
        self.visits = 0

    async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count a visit."""
        self.visits += 1
        writer.close()


class Servers:
    """All servers of a campaign."""

    def __init__(self, authority: trustme.CA) -> None:
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(self._tls)
        self._marked = Marked()
        self._raw = RawServer(self._marked)
        self._canary = Canary()
        self._simulator = Simulator(fleet(), log_size=100)

    async def start(self, stack: AsyncExitStack) -> dict[str, str]:
        """Start them until the stack ends, and give the URL of each."""
        elsewhere = await self._listen(stack, self._canary.serve)
        await stack.enter_async_context(self._simulator)
        fault = campaign_fault(simulated(elsewhere), self._marked)
        self._simulator.faults.add(fault, times=None)
        taken = stack.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))
        plain = await self._listen(stack, refuse_tls)
        return {
            "simulator": self._simulator.url,
            "raw": await self._listen(stack, self._raw.serve),
            "secure": await self._listen(stack, self._raw.serve, self._tls),
            "refused": f"http://127.0.0.1:{taken.getsockname()[1]}",
            "reset": await self._listen(stack, reset),
            "plain": plain.replace("http:", "https:"),
            "unknown": "https://unknown.invalid",
        }

    async def _listen(
        self, stack: AsyncExitStack, serve: Any, tls: ssl.SSLContext | None = None
    ) -> str:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024, ssl=tls)
        stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}" if tls is None else f"https://127.0.0.1:{port}"

    def counters(self) -> dict[str, int]:
        """Give what was seen."""
        return {
            "requests": self._marked.tries.total(),
            "open": self._simulator.open_connections + self._raw.open,
            "in flight": self._simulator.in_flight,
            "visits elsewhere": self._canary.visits,
        }


async def main() -> None:
    """Serve until the input ends."""
    authority = trustme.CA()
    servers = Servers(authority)
    async with AsyncExitStack() as stack:
        urls = await servers.start(stack)
        say({"urls": urls, "authority": authority.cert_pem.bytes().decode()})
        while await asyncio.to_thread(sys.stdin.readline):
            say(servers.counters())


def say(value: dict[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
