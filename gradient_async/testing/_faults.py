"""Faults: what can go wrong with an answer, and the rules that say when it does."""

from __future__ import annotations

import asyncio
import inspect
import random
import re
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Literal, Protocol, TypeAlias

import attrs
from aiohttp import web

from ._answers import SimulatedAnswer, error_answer, html_answer

__all__ = ["Action", "Fault", "FaultRule", "Faults", "OpenExchange"]

GZIP = zlib.MAX_WBITS | 16  # zlib's way of asking for gzip's framing
JSON = "application/json; charset=utf-8"
Stage: TypeAlias = Literal["request", "in_headers", "headers", "body"]


class OpenExchange(Protocol):
    """A request that is being answered, as faults see it."""

    request: web.BaseRequest
    headers: dict[str, str]
    request_id: str

    def usual(self) -> SimulatedAnswer:
        """Return what would be answered without the fault."""
        ...

    def send(
        self, answer: SimulatedAnswer, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        """Log the answer and make the response for it."""
        ...

    def log(self, status: int) -> None:
        """Put the request into the log, with the status that was sent (0 for none)."""
        ...

    async def hold(self) -> None:
        """Wait until the simulator's `release` is called."""
        ...

    async def hang_up(self) -> None:
        """Wait for the end of a connection that the fault has closed; never returns."""
        ...


Action: TypeAlias = Callable[[OpenExchange], Awaitable[web.StreamResponse | None]]
Responder: TypeAlias = Callable[
    [web.BaseRequest], "web.StreamResponse | Awaitable[web.StreamResponse | None] | None"
]


@attrs.frozen
class Fault:
    """One thing that goes wrong; made by the class methods below.

    Attributes:
        name: Its kind, for reprs and logs.
        act: Answers an exchange, or returns ``None`` to go on as usual.
    """

    name: str
    act: Action = attrs.field(repr=False, eq=False)

    @classmethod
    def status(
        cls,
        code: int,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        html: bool = False,
        message: str | None = None,
    ) -> Fault:
        """Answer with a status.

        Args:
            code: HTTP status code.
            body: The body, by default the API's error body.
            headers: Headers to add or replace.
            html: Send a proxy's HTML page instead of JSON.
            message: Message in the API's error body.
        """

        async def _act(exchange: OpenExchange) -> web.StreamResponse:
            answer = error_answer(code, exchange.request_id, message)
            if html:
                answer = html_answer(code)
            if body is not None:
                answer = SimulatedAnswer(code, body, answer.content_type)
            return exchange.send(answer, headers)

        return cls(f"status {code}", _act)

    @classmethod
    def rate_limited(
        cls,
        retry_after: float | str | None = None,
        *,
        reset: float | str | None = None,
        remaining: int = 0,
    ) -> Fault:
        """Answer 429.

        Args:
            retry_after: Value of ``retry-after``: seconds, a date or garbage; ``None`` leaves it
                out.
            reset: Value of ``ratelimit-reset``, by default the usual one.
            remaining: Value of ``ratelimit-remaining``.
        """
        headers = {"ratelimit-remaining": str(remaining)}
        if retry_after is not None:
            headers["retry-after"] = str(retry_after)
        if reset is not None:
            headers["ratelimit-reset"] = str(reset)
        return attrs.evolve(cls.status(429, headers=headers), name="rate limited")

    @classmethod
    def body(
        cls,
        content: bytes,
        *,
        status: int = 200,
        content_type: str = JSON,
        encoding: str | None = None,
    ) -> Fault:
        """Answer with these bytes.

        Args:
            content: The body, sent as it is.
            status: HTTP status code.
            content_type: Value of ``Content-Type``.
            encoding: Value of ``Content-Encoding``; the body is not encoded by it.
        """
        headers = {} if encoding is None else {"content-encoding": encoding}

        async def _act(exchange: OpenExchange) -> web.StreamResponse:
            return exchange.send(SimulatedAnswer(status, content, content_type), headers)

        return cls(f"body of {len(content)} bytes", _act)

    @classmethod
    def raw(cls, data: bytes, *, reset: bool = False) -> Fault:
        """Send these bytes past the HTTP layer, status line and all, and close the connection."""

        async def _act(exchange: OpenExchange) -> None:
            exchange.log(0)
            await cut(exchange, data, reset=reset)

        return cls(f"{len(data)} raw bytes", _act)

    @classmethod
    def nested(cls, depth: int = 100_000, opening: bytes = b"[") -> Fault:
        """Answer 200 with JSON that is ``depth`` levels deep and never closed."""
        return attrs.evolve(cls.body(opening * depth), name=f"nested {depth} deep")

    @classmethod
    def gzip_bomb(cls, size: int = 64 * 1024 * 1024) -> Fault:
        """Answer 200 with a small body that decompresses to ``size`` bytes of valid JSON."""
        bomb = cls.body(compressed_blank(size), encoding="gzip")
        return attrs.evolve(bomb, name=f"gzip bomb of {size} bytes")

    @classmethod
    def redirect(cls, to: str | None = None, status: int = 302) -> Fault:
        """Redirect to a URL or path, by default to the request's own: a circle."""

        async def _act(exchange: OpenExchange) -> web.StreamResponse:
            location = exchange.request.raw_path if to is None else to
            return exchange.send(SimulatedAnswer(status, b""), {"location": location})

        return cls(f"redirect {status}", _act)

    @classmethod
    def delay(cls, seconds: float) -> Fault:
        """Wait, then go on as usual."""

        async def _act(exchange: OpenExchange) -> None:
            await asyncio.sleep(seconds)

        return cls(f"delay of {seconds} s", _act)

    @classmethod
    def callback(cls, hook: Responder) -> Fault:
        """Ask a function or coroutine function: its response, or ``None`` to go on as usual."""

        async def _act(exchange: OpenExchange) -> web.StreamResponse | None:
            result = hook(exchange.request)
            response = await result if inspect.isawaitable(result) else result
            if response is not None:
                exchange.log(response.status)
            return response

        return cls("callback", _act)

    @classmethod
    def drop(cls, at: Stage = "request", *, reset: bool = True) -> Fault:
        """Cut the connection.

        Args:
            at: ``request``: before a byte is sent; ``in_headers``: in the middle of the headers;
                ``headers``: after the headers; ``body``: in the middle of the body.
            reset: End with a TCP reset; otherwise with an orderly close (FIN).
        """

        async def _act(exchange: OpenExchange) -> None:
            answer = exchange.usual()
            sent = raw_answer(exchange, answer, part=at)
            exchange.log(answer.status if at in {"headers", "body"} else 0)
            await cut(exchange, sent, reset=reset)

        return cls(f"drop at {at}", _act)

    @classmethod
    def short_body(cls, missing: int = 1) -> Fault:
        """Send ``missing`` bytes less than the content length says, then close."""

        async def _act(exchange: OpenExchange) -> None:
            answer = exchange.usual()
            sent = raw_answer(exchange, answer)
            exchange.log(answer.status)
            await cut(exchange, sent[: max(0, len(sent) - missing)], reset=False)

        return cls("short body", _act)

    @classmethod
    def broken_chunks(cls, *, reset: bool = False) -> Fault:
        """Send a chunked body without its end, then close."""

        async def _act(exchange: OpenExchange) -> None:
            answer = exchange.usual()
            half = answer.body[: len(answer.body) // 2]
            framing = {"transfer-encoding": "chunked"}
            sent = raw_head(exchange, answer, framing) + b"%x\r\n%b" % (len(answer.body), half)
            exchange.log(answer.status)
            await cut(exchange, sent, reset=reset)

        return cls("broken chunks", _act)

    @classmethod
    def flood_headers(cls, count: int = 1, size: int = 64 * 1024) -> Fault:
        """Send ``count`` headers of ``size`` bytes each before the usual ones, then close."""

        async def _act(exchange: OpenExchange) -> None:
            answer = exchange.usual()
            many = {f"x-flood-{number}": "x" * size for number in range(count)}
            exchange.log(answer.status)
            await cut(exchange, raw_answer(exchange, answer, extra=many), reset=False)

        return cls(f"{count} headers of {size} bytes", _act)

    @classmethod
    def hold(cls, at: Literal["request", "headers", "body"] = "request") -> Fault:
        """Stall until the simulator's `release` is called, then go on as usual.

        Args:
            at: ``request``: before a byte is sent; ``headers``: after the headers; ``body``: in the
                middle of the body.
        """

        async def _act(exchange: OpenExchange) -> web.StreamResponse | None:
            if at == "request":
                await exchange.hold()
                return None
            answer = exchange.usual()
            response = await begin(exchange, answer)
            middle = len(answer.body) // 2 if at == "body" else 0
            await response.write(answer.body[:middle])
            await exchange.hold()
            await response.write(answer.body[middle:])
            return response

        return cls(f"hold at {at}", _act)

    @classmethod
    def drip(cls, chunk: int = 1, interval: float = 0.05) -> Fault:
        """Send the usual body ``chunk`` bytes at a time, ``interval`` seconds apart."""

        async def _act(exchange: OpenExchange) -> web.StreamResponse:
            answer = exchange.usual()
            response = await begin(exchange, answer)
            for start in range(0, len(answer.body), chunk):
                await response.write(answer.body[start : start + chunk])
                await asyncio.sleep(interval)
            return response

        return cls("drip", _act)

    @classmethod
    def close_after(cls) -> Fault:
        """Answer as usual with the connection kept alive, then close it all the same."""

        async def _act(exchange: OpenExchange) -> None:
            answer = exchange.usual()
            exchange.log(answer.status)
            await cut(exchange, raw_answer(exchange, answer), reset=False)

        return cls("close after", _act)


async def begin(exchange: OpenExchange, answer: SimulatedAnswer) -> web.StreamResponse:
    """Send the headers of ``answer``; the body is the caller's to write."""
    headers = {**exchange.headers, "Content-Type": answer.content_type}
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(answer.body)
    exchange.log(answer.status)
    await response.prepare(exchange.request)
    return response


def raw_head(exchange: OpenExchange, answer: SimulatedAnswer, headers: Mapping[str, str]) -> bytes:
    """Return the status line and headers of ``answer`` as bytes."""
    fields = {"content-type": answer.content_type, **exchange.headers, **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    reason = HTTPStatus(answer.status).phrase
    return f"HTTP/1.1 {answer.status} {reason}\r\n{lines}\r\n".encode()


def raw_answer(
    exchange: OpenExchange,
    answer: SimulatedAnswer,
    *,
    extra: Mapping[str, str] | None = None,
    part: Stage | None = None,
) -> bytes:
    """Return an answer as bytes, or what of it is sent until ``part``."""
    if part == "request":
        return b""
    head = raw_head(exchange, answer, {**(extra or {}), "content-length": str(len(answer.body))})
    if part == "in_headers":
        return head[: len(head) // 2]
    end = {"headers": 0, "body": len(answer.body) // 2}.get(part or "", len(answer.body))
    return head + answer.body[:end]


async def cut(exchange: OpenExchange, sent: bytes, *, reset: bool) -> None:
    """Send bytes past the HTTP layer and end the connection; never returns."""
    transport = exchange.request.transport
    if transport is not None:
        transport.write(sent)
        if reset:
            connection = transport.get_extra_info("socket")
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        else:
            transport.close()
    await exchange.hang_up()


@lru_cache(maxsize=8)
def compressed_blank(size: int) -> bytes:
    """Compress ``{}`` after as much white space as makes ``size`` bytes, by gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    blank = b" " * (1024 * 1024)
    rounds, rest = divmod(max(0, size - 2), len(blank))
    parts = [packer.compress(blank) for _ in range(rounds)]
    return b"".join([*parts, packer.compress(blank[:rest] + b"{}"), packer.flush()])


@attrs.define(eq=False)
class FaultRule:
    """When which fault happens; made by `Faults.add`.

    Attributes:
        faults: One of them happens, drawn at random if there are several.
        path: Searched in the path (without the query); ``None`` for every path.
        query: Parameters that the query must have.
        times: How often it happens at most; ``None`` for always.
        after: Matching requests that are let through before.
        probability: Share of the matching requests that it happens to.
        seen: Matching requests so far.
        hits: How often it happened.
    """

    faults: tuple[Fault, ...]
    path: re.Pattern[str] | None = None
    query: Mapping[str, str] = attrs.field(factory=dict[str, str])
    times: int | None = 1
    after: int = 0
    probability: float = 1.0
    seen: int = 0
    hits: int = 0

    def draw(self, path: str, query: Mapping[str, str], rng: random.Random) -> Fault | None:
        """Return the fault for a request, ``None`` if there is none this time."""
        if self.times is not None and self.hits >= self.times:
            return None
        if not self._matches(path, query):
            return None
        self.seen += 1
        if self.seen <= self.after or rng.random() >= self.probability:
            return None
        self.hits += 1
        return self.faults[0] if len(self.faults) == 1 else rng.choice(self.faults)

    def _matches(self, path: str, query: Mapping[str, str]) -> bool:
        if self.path is not None and not self.path.search(path):
            return False
        return all(query.get(name) == value for name, value in self.query.items())


class Faults:
    """The faults of a simulator, in the order in which they were added.

    Args:
        seed: Seed of the random decisions.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rules: tuple[FaultRule, ...] = ()
        self._rng = random.Random(seed)

    def add(
        self,
        fault: Fault | Sequence[Fault],
        *,
        path: str | None = None,
        query: Mapping[str, object] | None = None,
        times: int | None = 1,
        after: int = 0,
        probability: float = 1.0,
    ) -> FaultRule:
        """Let a fault happen.

        Args:
            fault: The fault, or several of which one is drawn at random each time.
            path: Regular expression searched in the request's path; ``None`` for every path.
            query: Parameters that the request must have, such as ``{"page": 2}``.
            times: How often it happens at most, ``None`` for always.
            after: Matching requests that are let through before.
            probability: Share of the matching requests that it happens to.

        Returns:
            The rule; it counts what it did.
        """
        faults = (fault,) if isinstance(fault, Fault) else tuple(fault)
        rule = FaultRule(
            faults,
            re.compile(path) if path is not None else None,
            {name: str(value) for name, value in (query or {}).items()},
            times,
            after,
            probability,
        )
        self.rules = (*self.rules, rule)
        return rule

    def remove(self, rule: FaultRule) -> None:
        """Take a rule out; nothing happens if it is not there."""
        self.rules = tuple(other for other in self.rules if other is not rule)

    def clear(self) -> None:
        """Take all rules out."""
        self.rules = ()

    def draw(self, path: str, query: Mapping[str, str]) -> Iterator[Fault]:
        """Yield the faults for a request; one counts only if those before it let it pass."""
        for rule in self.rules:
            fault = rule.draw(path, query, self._rng)
            if fault is not None:
                yield fault
