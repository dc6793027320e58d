"""One run over many Droplets, however it ends: what was done, what was not, the exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, Literal, TypeAlias, TypeVar

import attrs

from .. import AsyncGradient, GradientError
from .layouts import error_text
from .options import Connection
from .problems import FAILED, INCOMPLETE, INTERRUPTED, OK
from .progress import Tally, progress_bar
from .session import open_client
from .text import count_of, named

__all__ = ["Run", "ask", "exit_code", "report"]

R = TypeVar("R")
Ending: TypeAlias = Literal["interrupted", "deadline"] | GradientError | None


@attrs.define
class Run(Generic[R]):
    """What is done with the results as they come.

    Attributes:
        write: Takes each result.
        asked: The Droplet IDs that the run is about, ``None`` until they are known.
        tally: How far it is.
        answered: The IDs that have a result.
        failures: What went wrong with those that failed.
        ended_by: Why it ended early.
    """

    write: Callable[[R], None]
    asked: Sequence[int] | None = None
    tally: Tally = attrs.field(factory=Tally)
    answered: set[int] = attrs.field(factory=set[int])
    failures: dict[int, str] = attrs.field(factory=dict[int, str])
    ended_by: Ending = None

    def about(self, droplet_ids: Sequence[int]) -> None:
        """Set the Droplets that the run is about."""
        self.asked = droplet_ids
        self.tally.total = len(droplet_ids)

    def take(self, droplet_id: int, result: R, error: GradientError | None) -> None:
        """Write a result and count it."""
        self.write(result)
        self.answered.add(droplet_id)
        self.tally.count(failed=error is not None)
        if error is not None:
            self.failures[droplet_id] = error_text(error)

    @property
    def missing(self) -> list[int]:
        """The IDs without a result."""
        return [droplet_id for droplet_id in self.asked or () if droplet_id not in self.answered]


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
    """Give the exit code; ``failed`` tells what a run that came to its end is worth."""
    match run.ended_by:
        case "interrupted":
            return INTERRUPTED
        case None:
            return FAILED if failed else OK
        case _:
            return INCOMPLETE


def report(run: Run[R], most: int | None) -> Iterator[str]:
    """Give the lines about what failed and what was not done.

    Args:
        run: The run.
        most: How many Droplets are named at most.
    """
    failures = list(run.failures.items())
    for droplet_id, error in failures[:most]:
        yield f"Droplet {droplet_id} failed: {error}"
    if len(failures) > len(failures[:most]):
        yield f"and {count_of(len(failures) - len(failures[:most]), 'Droplet')} more failed"
    if run.ended_by is not None:
        yield f"{_reason(run.ended_by)}: {_rest(run, most)}"


def _reason(ending: Ending) -> str:
    match ending:
        case "interrupted":
            return "interrupted"
        case "deadline":
            return "the deadline passed"
        case _:
            return str(ending)


def _rest(run: Run[R], most: int | None) -> str:
    if run.asked is None:
        return (
            f"{run.tally.done:,} listed, the rest is not known"
            if run.answered
            else "nothing was listed"
        )
    missing = run.missing
    return f"{count_of(len(missing), 'Droplet')} not listed: {named(missing, most)}"
