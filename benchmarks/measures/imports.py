"""What an import costs, and the command line with it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from ..tables import Column, Goal, Scale, Table

AIOHTTP = "`import aiohttp`"
PACKAGE = "`import gradient_async`"
CLIENT = "`from gradient_async import AsyncGradient`"
SYNC_CLIENT = "`from gradient_async import Gradient`"
TYPES = "`import gradient_async.types, gradient_async.errors`"
STATEMENTS = (
    AIOHTTP,
    PACKAGE,
    CLIENT,
    SYNC_CLIENT,
    TYPES,
    "`from gradient import AsyncGradient`",
    "`from pydo.aio import Client`",
    "`from pydo import Client`",
    "`import requests`",
    "`import httpx`",
)
QUICK_STATEMENTS = (AIOHTTP, CLIENT, TYPES)
TIMED = "import time; t = time.perf_counter(); {}; print((time.perf_counter() - t) * 1e3)"


def _import(statement: str) -> float:
    """Give the milliseconds that a statement takes in a fresh interpreter, as installed."""
    code = TIMED.format(statement.strip("`"))
    output = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, check=True, text=True
    )
    return float(output.stdout)


def _command(command: list[str]) -> float:
    """Give the milliseconds that a command takes."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1e3


def _in_turn(title: str, sides: Mapping[str, Callable[[], float]], rounds: int) -> Column:
    samples: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()
    for _ in range(rounds):
        for name, side in sides.items():
            samples[name].append(side())
    return Column(title, samples)


def measure(scale: Scale) -> Iterator[Table]:
    """Measure imports and the command line."""
    yield _imports(scale)
    yield _help(scale)


def _imports(scale: Scale) -> Table:
    statements = QUICK_STATEMENTS if scale.quick else STATEMENTS
    sides = {name: lambda name=name: _import(name) for name in statements}
    column = _in_turn("ms", sides, scale.rounds)
    return Table(
        "Import",
        [column],
        base=AIOHTTP,
        goals=[
            Goal(f"{CLIENT} / {AIOHTTP}", column.ratio(CLIENT, AIOHTTP), 1.10),
            Goal(f"{TYPES} / {AIOHTTP}", column.ratio(TYPES, AIOHTTP), 0.6),
        ],
        note="In a fresh interpreter, the start of which is not counted.",
    )


def _help(scale: Scale) -> Table:
    shown = "`gradient-async --help`"
    sides = {
        shown: lambda: _command([sys.executable, "-P", "-m", "gradient_async", "--help"]),
        "`python -c pass`": lambda: _command([sys.executable, "-c", "pass"]),
    }
    column = _in_turn("ms", sides, scale.rounds)
    return Table("Command line", [column], goals=[Goal(f"{shown}, ms", column.median(shown), 300)])
