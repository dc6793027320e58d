"""What a measure gives: a table of medians, and the goals that it was made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import attrs


@attrs.frozen
class Goal:
    """A bound for a figure.

    Attributes:
        text: What is bounded.
        value: The figure.
        bound: The bound.
        at_least: Whether the figure is to be at least, and not at most, the bound.
    """

    text: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure keeps within the bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@attrs.frozen
class Column:
    """The samples of one quantity, by side.

    Attributes:
        title: The quantity with its unit, such as ``CPU µs``.
        samples: The samples of each side, one per round, in the order of the rounds.
    """

    title: str
    samples: Mapping[str, Sequence[float]]

    @classmethod
    def of(
        cls, title: str, rounds: Mapping[str, Sequence[Mapping[str, float]]], key: str
    ) -> Column:
        """Take one quantity out of the rounds that were measured."""
        return cls(title, {side: [sample[key] for sample in of] for side, of in rounds.items()})

    def median(self, side: str) -> float:
        """Give the median over the rounds."""
        return median(self.samples[side])

    def ratio(self, side: str, base: str) -> float:
        """Give the median of one side by that of another, taken round by round if they match.

        Rounds that were run next to each other saw the same machine.
        """
        ours, theirs = self.samples[side], self.samples[base]
        if len(ours) == len(theirs):
            return median(a / b for a, b in zip(ours, theirs, strict=True))
        return self.median(side) / self.median(base)

    def difference(self, side: str, base: str) -> float:
        """Give the median of what one side takes above another, round by round."""
        ours, theirs = self.samples[side], self.samples[base]
        return median(a - b for a, b in zip(ours, theirs, strict=True))


@attrs.frozen
class Table:
    """The result of a measure.

    Attributes:
        title: What was measured.
        columns: The quantities; ratios are shown for the first one.
        base: The side that the others are compared with, if there is one.
        goals: The goals that it was made for.
        note: A sentence on how to read it.
    """

    title: str
    columns: Sequence[Column]
    base: str | None = None
    goals: Sequence[Goal] = ()
    note: str = ""

    @property
    def sides(self) -> list[str]:
        """The sides, in the order in which they were measured."""
        return list(dict.fromkeys(side for column in self.columns for side in column.samples))


@attrs.frozen
class Scale:
    """How much is measured.

    Attributes:
        quick: Whether the whole run is to take about a minute.
    """

    quick: bool

    @property
    def rounds(self) -> int:
        """Rounds of each side, over all its processes."""
        return 3 if self.quick else 15

    @property
    def processes(self) -> int:
        """Processes of each side, one after the other."""
        return 1 if self.quick else 5

    @property
    def seconds(self) -> float:
        """About how long a round takes.

        In much less the garbage collector has not had its turn, which is a third of what some cost.
        """
        return 0.25 if self.quick else 0.4
