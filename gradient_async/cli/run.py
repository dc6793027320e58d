"""One run over many Droplets, however it ends: what was done, what was not, the exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from typing import Final, Generic, Literal, Protocol, Self, TypeAlias, TypeVar

import attrs

from .. import AsyncGradient, AuthenticationError, GradientError
from ..errors import error_text
from .options import Connection
from .problems import FAILED, INCOMPLETE, INTERRUPTED, OK
from .progress import Tally, progress_bar
from .session import open_client
from .text import count_of, droplet, named

__all__ = ["Results", "Run", "ask", "exit_code", "failure_lines"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
NOTHING: Final = "nothing was listed"
Ending: TypeAlias = Literal["interrupted", "deadline"] | GradientError | None


class Results(Protocol[R_co]):
    """Results as they come, and what is known of those that are still missing."""

    @property
    def total(self) -> int | None:
        """How many there will be, ``None`` as long as that is not known."""
        ...

    @property
    def missing(self) -> Sequence[int]:
        """The Droplet IDs without a result, as far as they are known."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> R_co: ...

    async def aclose(self) -> None:
        """End what is under way."""
        ...


@attrs.define
class Run(Generic[R]):
    """What is done with the results as they come.

    Attributes:
        write: Takes each result.
        tally: How far it is.
        answered: The IDs that have a result.
        failures: What went wrong, a line for each Droplet that failed.
        ended_by: Why it ended early.
    """

    write: Callable[[R], None]
    tally: Tally = attrs.field(factory=Tally)
    answered: set[int] = attrs.field(factory=set[int])
    failures: list[str] = attrs.field(factory=list[str])
    ended_by: Ending = None
    _results: Results[object] | None = None

    async def take_all(
        self, results: Results[T], take: Callable[[T], None], *, listing: bool = False
    ) -> None:
        """Take all results, also those that are there when it is interrupted.

        Args:
            results: The results.
            take: Is called with each.
            listing: Whether listings are read before the first of them is there.
        """
        self._results = results
        self.tally.expected = lambda: results.total
        self.tally.listing = listing
        async with aclosing(results):
            try:
                async for result in results:
                    take(result)
            except asyncio.CancelledError:
                with suppress(RuntimeError):  # which tells that no more are there
                    async for result in results:
                        take(result)
                raise

    def take(
        self, droplet_id: int, result: R, error: GradientError | None, name: str | None = None
    ) -> None:
        """Write a result and count it."""
        self.write(result)
        self.answered.add(droplet_id)
        self.tally.count(failed=error is not None)
        if error is not None:
            self.failures.append(f"{droplet(droplet_id, name)} failed: {error_text(error)}")

    @property
    def missing(self) -> list[int]:
        """The IDs without a result, as far as they are known."""
        known = self._results.missing if self._results is not None else ()
        return [droplet_id for droplet_id in known if droplet_id not in self.answered]


async def ask(
    connection: Connection,
    title: str,
    run: Run[R],
    work: Callable[[AsyncGradient, Run[R]], Awaitable[None]],
) -> None:
    """Do the work with the client that the options ask for, until it is done or ends early.

    Args:
        connection: The options.
        title: What the progress bar says.
        run: Is told why the work ended early.
        work: Calls `Run.take` with each result.
    """
    async with open_client(connection) as client:
        with progress_bar(title, run.tally, lambda: client.rate_limit, wanted=connection.progress):
            try:
                async with asyncio.timeout(connection.deadline):
                    await work(client, run)
            except GradientError as error:
                run.ended_by = error
            except TimeoutError:
                run.ended_by = "deadline"
            except asyncio.CancelledError:
                run.ended_by = "interrupted"


def exit_code(run: Run[R], *, failed: bool) -> int:
    """Return the exit code; ``failed`` tells what a run that came to its end is worth."""
    match run.ended_by:
        case "interrupted":
            return INTERRUPTED
        case None:
            return FAILED if failed else OK
        case _:
            return INCOMPLETE


def failure_lines(run: Run[R], most: int | None, token: str) -> Iterator[str]:
    """Return the lines about what failed and what was not done.

    Args:
        run: The run.
        most: How many Droplets are named at most.
        token: Where the token was read from.
    """
    yield from run.failures[:most]
    if more := len(run.failures) - len(run.failures[:most]):
        yield f"and {more:,} more failed"
    if run.ended_by is not None:
        yield f"{_reason(run.ended_by, token)}: {_rest(run, most)}"


def _reason(ending: Ending, token: str) -> str:
    match ending:
        case "interrupted":
            return "interrupted"
        case "deadline":
            return "the deadline passed"
        case AuthenticationError(message=message, request=request):  # its hint names no file
            return f"{message}: check {token}" + (f" ({request})" if request else "")
        case _:
            return str(ending)


def _rest(run: Run[R], most: int | None) -> str:
    if run.tally.total is None:
        return f"{run.tally.done:,} listed, the rest is not known" if run.answered else NOTHING
    missing = run.missing
    left = f"{count_of(max(len(missing), run.tally.left), 'Droplet')} not listed"
    return f"{left}: {named(missing, most)}" if missing else left
