"""Sides of a measure in processes of their own, which run a round whenever they are asked to."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any, Final, Generic, TypeAlias, TypeVar

from .tables import Scale

S = TypeVar("S")
Sample: TypeAlias = dict[str, float]
"""What one round of one side measured."""
Rounds: TypeAlias = Callable[..., Generator[Sample, None, None]]
"""A generator function: sets a side up, then measures one round for each value it yields."""
Sides: TypeAlias = Mapping[str, tuple[Rounds, tuple[Any, ...]]]
"""The sides of a measure, each with its arguments."""

LARGE: Final = 4 * 2**20


class Side(Generic[S]):
    """A side that has been set up in a process, waiting to be asked for a round."""

    def __init__(
        self, rounds: Callable[..., Generator[S, None, None]], args: tuple[Any, ...]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, rounds, args), daemon=True)
        self._process.start()
        theirs.close()

    def round(self) -> S:
        """Measure one round.

        Raises:
            RuntimeError: The side failed; its traceback is on stderr.
        """
        self.begin()
        return self.result()

    def begin(self) -> None:
        """Begin a round, beside those of other sides."""
        self._pipe.send("next")

    def result(self) -> S:
        """Wait for the end of the round that was begun."""
        try:
            measured: S = self._pipe.recv()
        except EOFError:
            raise RuntimeError("a side failed, see above") from None
        return measured

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def _run(
    pipe: Connection, rounds: Callable[..., Generator[Any, None, None]], args: tuple[Any, ...]
) -> None:
    # The C library learns from the first large block that is freed to keep such memory. Until then
    # each answer that is received is mapped and given back; when that ends is chance otherwise.
    bytes(LARGE)
    samples = rounds(*args)
    while pipe.recv():
        gc.collect()
        pipe.send(next(samples))


def in_turn(sides: Sides, scale: Scale, together: Collection[str] = ()) -> dict[str, list[Sample]]:
    """Measure all sides, one round of each after the other, so that all see the same machine.

    Each process is started several times: two that do the same may differ in speed by half, for as
    long as they live.

    Args:
        sides: What is measured.
        scale: How many rounds there are, over how many processes.
        together: The sides that share a process, and so differ by nothing but what they do: those
            whose ratio is of interest, and that load the same libraries. The others have one each.
    """
    shared = {name: side for name, side in sides.items() if name in together}
    alone = [{name: side} for name, side in sides.items() if name not in together]
    groups = [group for group in (shared, *alone) if group]
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for _ in range(scale.processes):
        for measured in _rounds_in_turn(groups, scale.rounds // scale.processes):
            for name, sample in measured.items():
                samples[name].append(sample)
    return samples


def _rounds_in_turn(groups: Sequence[Sides], rounds: int) -> Iterator[dict[str, Sample]]:
    """Measure one process of each group. Its first round warms up and is not counted."""
    with ExitStack() as stack:
        running = [Side(_one_after_the_other, (group,)) for group in groups]
        for group in running:
            stack.callback(group.stop)
        for group in running:
            group.begin()
        for group in running:
            group.result()
        for _ in range(rounds):
            for group in running:
                yield group.round()


def _one_after_the_other(sides: Sides) -> Generator[dict[str, Sample], None, None]:
    """Measure a round of each side in this process."""
    running = {name: rounds(*args) for name, (rounds, args) in sides.items()}
    while True:
        measured: dict[str, Sample] = {}
        for name, rounds in running.items():
            gc.collect()
            measured[name] = next(rounds)
        yield measured


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """Have the processes that are started meanwhile share one CPU, where the system can do that.

    On several, a part of what a thread costs is that the CPUs hand its memory to each other.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def once(rounds: Rounds, *args: Any) -> Sample:
    """Measure a single round in a fresh process."""
    side = Side(rounds, args)
    try:
        return side.round()
    finally:
        side.stop()
