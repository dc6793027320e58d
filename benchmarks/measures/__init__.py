"""One module per measure; each has `measure`, which yields its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from ..tables import Scale, Table
from . import (
    accounts,
    awaited,
    blocking,
    decoding,
    fan_out,
    footprint,
    imports,
    iterating,
    limited,
    loops,
    memory,
)

__all__ = ["MEASURES"]

Measure: TypeAlias = Callable[[Scale], Iterator[Table]]

MEASURES: Final[dict[str, Measure]] = {
    "awaited": awaited.measure,
    "fan-out": fan_out.measure,
    "blocking": blocking.measure,
    "iterating": iterating.measure,
    "decoding": decoding.measure,
    "limited": limited.measure,
    "accounts": accounts.measure,
    "memory": memory.measure,
    "imports": imports.measure,
    "footprint": footprint.measure,
    "loops": loops.measure,
}
