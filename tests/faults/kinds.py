"""What can go wrong with a request, and how the request has to end then."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from gradient_async import errors

Where: TypeAlias = Literal["simulator", "raw", "secure", "refused", "reset", "plain", "unknown"]
Method: TypeAlias = Literal["list", "policy", "raw", "stream", "iterate", "many"]

METHODS: tuple[Method, ...] = ("list", "policy", "raw", "stream", "iterate", "many")
PLACES: tuple[Where, ...] = ("simulator", "simulator", "raw", "raw", "secure")
"""Where requests without a fault go."""
ALWAYS = 99
MAX_RETRIES = 3
HEADER = "X-Campaign"
"""Carries the number of a request, its kind of fault, and how many tries the fault happens to."""


@attrs.frozen
class Kind:
    """One kind of fault.

    Attributes:
        where: Which server makes it.
        error: What a request ends in that meets it in every try; ``None`` for a right answer.
        retried: Whether a try that meets it is repeated, so that fewer faults than tries are
            survived.
        in_body: Whether it comes after the headers.
        slow: Whether only the timeout ends it.
        limited: Whether it is about the rate limit, so that the request has one of its own.
    """

    where: Where
    error: type[errors.GradientError] | None
    retried: bool = False
    in_body: bool = False
    slow: bool = False
    limited: bool = False


_lost = Kind("simulator", errors.APIConnectionError, retried=True)
_lost_body = attrs.evolve(_lost, in_body=True)
_raw = attrs.evolve(_lost, where="raw")
_raw_body = attrs.evolve(_raw, in_body=True)
_slow = Kind("simulator", errors.APITimeoutError, retried=True, slow=True)
_slow_body = attrs.evolve(_slow, in_body=True)
_failing = Kind("simulator", errors.InternalServerError, retried=True)
_odd = Kind("simulator", errors.APIResponseValidationError)
_fine = Kind("simulator", None)
_limited = Kind("simulator", errors.RateLimitError, retried=True, limited=True)

KINDS: dict[str, Kind] = {
    "reset before the answer": _lost,
    "closed before the answer": _lost,
    "reset in the headers": _lost,
    "closed in the headers": _lost,
    "reset after the headers": _lost_body,
    "closed after the headers": _lost_body,
    "reset in the body": _lost_body,
    "closed in the body": _lost_body,
    "short body": _lost_body,
    "chunks cut": _lost_body,
    "chunks reset": _lost_body,
    "stall before the answer": _slow,
    "stall after the headers": _slow_body,
    "stall in the body": _slow_body,
    "drip": _slow_body,
    "408": Kind("simulator", errors.APIStatusError, retried=True),
    "409": Kind("simulator", errors.ConflictError, retried=True),
    **{str(status): _failing for status in (500, 501, 502, 503, 504, 599)},
    **{f"{status} html": _failing for status in (500, 501, 502, 503, 504)},
    "503 retry-after": _failing,
    "503 long retry-after": attrs.evolve(_failing, retried=False),
    "503 garbage retry-after": _failing,
    "400": Kind("simulator", errors.BadRequestError),
    "401": Kind("simulator", errors.AuthenticationError),
    "403": Kind("simulator", errors.PermissionDeniedError),
    "404": Kind("simulator", errors.NotFoundError),
    "422": Kind("simulator", errors.UnprocessableEntityError),
    "429 short": _limited,
    "429 date": _limited,
    "429 none": attrs.evolve(_limited, retried=False),
    "429 reset in the past": _limited,
    "429 garbage": _limited,
    "429 negative": _limited,
    "429 enormous": attrs.evolve(_limited, retried=False),
    "429 for all": Kind("simulator", None, retried=True),
    "html": _odd,
    "empty": _odd,
    "truncated": _odd,
    "nested arrays": _odd,
    "nested objects": _odd,
    "wrong types": _odd,
    "null": _odd,
    "another answer": _odd,
    "no utf-8": _odd,
    "utf-16": _odd,
    "204": _odd,
    "as html": _fine,
    "as nothing": _fine,
    "unknown charset": _fine,
    "unknown encoding": _fine,
    "gzip lie": _lost_body,
    "deflate lie": _lost_body,
    "gzip cut": attrs.evolve(_odd, in_body=True),
    "gzip bomb": attrs.evolve(_odd, in_body=True),
    "long header": _lost,
    "many headers": _lost,
    "redirect to itself": Kind("simulator", errors.APIStatusError),
    "redirect in a circle": Kind("simulator", errors.APIStatusError),
    "redirect to the same origin": attrs.evolve(_fine, retried=True),
    "redirect to another origin": Kind("simulator", errors.APIStatusError),
    "redirect to another scheme": Kind("simulator", errors.APIStatusError),
    "redirect to nowhere": Kind("simulator", errors.APIStatusError),
    "closed while idle": _fine,
    "no http": _raw,
    "garbage": _raw,
    "bad content-length": _raw,
    "two content-lengths": _raw,
    "bad chunk size": _raw_body,
    "endless headers": _raw,
    "endless body": Kind("raw", errors.APIResponseValidationError, in_body=True),
    "null in a header": _raw,
    "interim answers": Kind("raw", None),
    "an answer too many": Kind("raw", None),
    "half of an answer too many": Kind("raw", None),
    "one byte a packet": Kind("raw", None),
    "redirect out of TLS": Kind("secure", errors.APIStatusError),
    "reset in TLS": attrs.evolve(_lost, where="secure"),
    "refused": attrs.evolve(_lost, where="refused"),
    "reset on connect": attrs.evolve(_lost, where="reset"),
    "plain text for TLS": attrs.evolve(_lost, where="plain"),
    "unknown host": attrs.evolve(_lost, where="unknown"),
}


@attrs.frozen
class Ask:
    """One request of a campaign.

    Attributes:
        number: Its number, from 0.
        method: The method of the client that makes it.
        where: The server that it goes to.
        droplet_id: The Droplet that it asks about.
        kind: The fault that it meets, ``None`` for none.
        faults: How many of its tries meet the fault.
        cancel_after: Seconds after which it is cancelled, ``None`` for not at all.
    """

    number: int
    method: Method
    where: Where
    droplet_id: int
    kind: str | None = None
    faults: int = 0
    cancel_after: float | None = None

    @property
    def header(self) -> str:
        """What tells the server which fault to make."""
        return f"{self.number}/{self.kind or ''}/{self.faults}"

    def endings(self) -> set[type[errors.GradientError] | None]:
        """The ways in which the request may end: the classes of errors, ``None`` for an answer."""
        if self.kind is None:
            return {None}
        kind = KINDS[self.kind]
        nowhere = self.where in ("refused", "reset", "plain", "unknown")
        if nowhere or not kind.retried or self.faults == ALWAYS:
            return {kind.error}
        # A streamed answer is not asked for again, unless the fault came before it was begun.
        unsure = kind.slow or (kind.in_body and self.method == "stream")
        return {None, kind.error} if unsure else {None}


def plan(
    seed: int, count: int, share: float, droplet_ids: list[int], *, cancelling: bool
) -> Iterator[Ask]:
    """Draw the requests of a campaign: the same seed gives the same ones.

    Args:
        seed: The seed.
        count: How many.
        share: The share of them that meets a fault.
        droplet_ids: The Droplets of the simulated account.
        cancelling: Whether one request of a hundred is cancelled on its way.
    """
    rng = random.Random(seed)
    names = list(KINDS)
    for number in range(count):
        name = rng.choice(names) if rng.random() < share else None
        where = KINDS[name].where if name else rng.choice(PLACES)
        yield Ask(
            number=number,
            method=rng.choice(METHODS),
            where=where,
            droplet_id=rng.choice(droplet_ids) if where == "simulator" else number + 1,
            kind=name,
            faults=_faults(KINDS[name], rng) if name else 0,
            cancel_after=rng.uniform(0, 0.01) if cancelling and rng.random() < 0.01 else None,
        )


def _faults(kind: Kind, rng: random.Random) -> int:
    """Draw how many tries of a request meet its fault."""
    if not kind.retried:
        return ALWAYS
    return rng.choice((1, 1, 2) if kind.error is None else (1, 1, 2, ALWAYS))
