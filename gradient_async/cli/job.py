"""What a command does, from its options to its exit code."""

from __future__ import annotations

import shlex
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs

from .. import AsyncGradient
from .columns import Layout
from .formats import STREAMED, writer_for
from .options import Connection, Destination, Format
from .output import Output, open_output, written_to
from .problems import Problem
from .resume import Resumed, how_to_resume
from .run import Run, ask, exit_code, failure_lines
from .session import check_connection, run_in_loop, token_source
from .terminal import most_named, tell

__all__ = ["Job", "perform"]

R = TypeVar("R")


def _any_failed(run: Run[Any]) -> bool:
    return bool(run.failures)


@attrs.frozen
class Job(Generic[R]):
    """What a command asks, and what it makes of the answers.

    Attributes:
        title: What the progress bar says.
        layout: How the results are written.
        work: Asks; see `ask`.
        summary: Gives what stderr is told of a run at its end.
        failed: Tells whether a run that came to its end is to exit with 1.
        order: The Droplet IDs, as they were asked for; none for the order of the IDs.
        resumed: The export that is completed, if one is.
        again: The arguments that ``--resume`` is to be given with; none if it cannot continue this.
    """

    title: str
    layout: Layout[R, Any]
    work: Callable[[AsyncGradient, Run[R]], Awaitable[None]]
    summary: Callable[[Run[R]], str]
    failed: Callable[[Run[R]], bool] = _any_failed
    order: Sequence[int] = ()
    resumed: Resumed | None = None
    again: Sequence[str] = ()


def perform(job: Job[R], connection: Connection, destination: Destination) -> int:
    """Ask, write what comes, and tell how it ended.

    Returns:
        The exit code.

    Raises:
        Problem: There is no token, or the output cannot be written, or an option is wrong.
    """
    check_connection(connection)
    kind: Format = "jsonl" if job.resumed else destination.format or "table"
    layout = _with_columns(job.layout, destination, kind)
    output = _open_output(job.resumed, destination)
    if output.is_terminal and kind in STREAMED:
        connection = attrs.evolve(connection, progress=False)
    started = time.monotonic()
    with written_to(output, keep=kind == "jsonl"):
        writer = writer_for(kind, output, layout)
        run = Run(writer.add)
        run_in_loop(ask(connection, job.title, run, job.work))
        where = _end(run, output, lambda: writer.end(job.order or sorted(run.answered)))
    if run.answered or run.ended_by is None:
        summary = f"{job.summary(run)} in {time.monotonic() - started:.1f} s"
        tell([f"{summary}: {where}" if where else summary], dim=True)
    tell(failure_lines(run, most_named(), token_source(connection)), fg="red")
    if run.ended_by is not None and kind == "jsonl":
        tell(_how_to_continue(job, connection, destination, where))
    return exit_code(run, failed=job.failed(run))


def _how_to_continue(
    job: Job[Any], connection: Connection, destination: Destination, where: str
) -> Iterator[str]:
    """Return the line with the command that goes on, if there is a file that it can go on with."""
    if where:
        resume = how_to_resume(Path(where))
    elif job.resumed is not None:  # it has what it had, and no other file was written
        resume = how_to_resume(job.resumed.path, destination.path)
    else:
        return
    if job.again:
        command = [*job.again, *connection.arguments(), *resume]
        yield f"Continue with: {shlex.join(command)}"


def _with_columns(layout: Layout[R, Any], destination: Destination, kind: Format) -> Layout[R, Any]:
    if destination.columns and kind in ("json", "jsonl"):
        raise Problem(f"--columns is for table and csv: {kind} has every field")
    return layout.choose(destination.columns or ())


def _open_output(resumed: Resumed | None, destination: Destination) -> Output:
    if resumed is not None:
        return resumed.open(destination)
    return open_output(destination.path, force=destination.force)


def _end(run: Run[R], output: Output, write_rest: Callable[[], None]) -> str:
    """Finish the output, and tell where it is."""
    if run.ended_by is not None and not run.answered:
        output.abandon(keep=False)
        return ""
    write_rest()
    return output.finish() if run.ended_by is None else output.keep_partial()
