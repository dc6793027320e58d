"""Sides of a measure, each in a process of its own that runs one round whenever it is asked to."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any, Final, TypeAlias

from .tables import Scale

Rounds: TypeAlias = Callable[..., Generator[dict[str, float], None, None]]
"""A generator function: sets a side up, then measures one round for each value it yields."""
Sides: TypeAlias = Mapping[str, tuple[Rounds, tuple[Any, ...]]]
"""The sides of a measure, each with its arguments."""

LARGE: Final = 4 * 2**20


class Side:
    """A side that has been set up, waiting to be asked for a round."""

    def __init__(self, rounds: Rounds, args: tuple[Any, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, rounds, args), daemon=True)
        self._process.start()
        theirs.close()

    def round(self) -> dict[str, float]:
        """Measure one round.

        Raises:
            RuntimeError: The side failed; its traceback is on stderr.
        """
        self.begin()
        return self.result()

    def begin(self) -> None:
        """Begin a round, beside those of other sides."""
        self._pipe.send("next")

    def result(self) -> dict[str, float]:
        """Wait for the end of the round that was begun."""
        try:
            measured: dict[str, float] = self._pipe.recv()
        except EOFError:
            raise RuntimeError("a side failed, see above") from None
        return measured

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def _run(pipe: Connection, rounds: Rounds, args: tuple[Any, ...]) -> None:
    # The C library learns from the first large block that is freed to keep such memory. Until then
    # each answer that is received is mapped and given back; when that ends is chance otherwise.
    bytes(LARGE)
    samples = rounds(*args)
    while pipe.recv():
        gc.collect()
        pipe.send(next(samples))


def in_turn(sides: Sides, scale: Scale) -> dict[str, list[dict[str, float]]]:
    """Measure all sides, one round of each after the other, so that all see the same machine.

    Each side is started several times: two processes that do the same may differ in speed for as
    long as they live.
    """
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(scale.processes):
        for name, rounds in _rounds_in_turn(sides, scale.rounds // scale.processes).items():
            samples[name] += rounds
    return samples


def _rounds_in_turn(sides: Sides, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Measure one process of each side. Its first round warms up and is not counted."""
    with ExitStack() as stack:
        running = {name: Side(measure, args) for name, (measure, args) in sides.items()}
        for side in running.values():
            stack.callback(side.stop)
        for side in running.values():
            side.begin()
        for side in running.values():
            side.result()
        samples: dict[str, list[dict[str, float]]] = {name: [] for name in running}
        for _ in range(rounds):
            for name, side in running.items():
                samples[name].append(side.round())
    return samples


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


def once(rounds: Rounds, *args: Any) -> dict[str, float]:
    """Measure a single round in a fresh process."""
    side = Side(rounds, args)
    try:
        return side.round()
    finally:
        side.stop()
