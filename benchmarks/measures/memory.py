"""Memory: backups that are held, and a fan-out whose results are not."""

from __future__ import annotations

import gc
import re
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil

from ..bodies import PER_PAGE, page
from ..canned import canned
from ..processes import once
from ..tables import Column, Goal, Scale, Table
from .decoding import DECODERS, GRADIENT, JSON, OURS
from .fan_out import by_list_many

MIB = 2**20
BACKUPS = 200_000
SIDES = (OURS, GRADIENT, JSON)


def held(side: str, pages: Path) -> Generator[dict[str, float], None, None]:
    """Decode all pages, keep what they hold, and see how much the process has grown."""
    decode = DECODERS[side]()
    decode(page(PER_PAGE))
    gc.collect()
    before = psutil.Process().memory_full_info().uss
    with pages.open("rb") as lines:
        kept = [decode(line) for line in lines]
    gc.collect()
    assert kept
    yield {"MiB": (psutil.Process().memory_full_info().uss - before) / MIB}


def peak(url: str, droplets: int) -> Generator[dict[str, float], None, None]:
    """Run `list_many` over so many Droplets, drop the results, and see the peak."""
    next(by_list_many(url, droplets))
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    yield {"MiB": int(found[1]) / 1024}


def measure(scale: Scale) -> Iterator[Table]:
    """Measure what is held, then the peak of a fan-out."""
    yield _held(scale)
    if Path("/proc/self/status").exists():
        yield _peak(scale)


def _held(scale: Scale) -> Table:
    backups = BACKUPS // 10 if scale.quick else BACKUPS
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "pages"
        with pages.open("wb") as lines:
            for number in range(1, backups // PER_PAGE + 1):
                lines.write(page(backups, number) + b"\n")
        samples = {side: [once(held, side, pages)] for side in SIDES}
    column = Column.of("MiB", samples, "MiB")
    return Table(
        f"{backups:,} backups held",
        [column],
        base=GRADIENT,
        goals=[
            Goal(f"memory of {backups:,} backups / gradient", column.ratio(OURS, GRADIENT), 0.5)
        ],
        note="What the process has grown by.",
    )


def _peak(scale: Scale) -> Table:
    small, large = (1_000, 10_000) if scale.quick else (2_000, 20_000)
    names = {count: f"{count:,} Droplets" for count in (small, large)}
    with canned(4) as server:
        samples = {
            names[count]: [once(peak, server.url, count) for _ in range(1 if scale.quick else 3)]
            for count in names
        }
    column = Column.of("peak MiB", samples, "MiB")
    above = column.median(names[large]) - column.median(names[small])
    return Table(
        "`list_many`, results dropped",
        [column],
        goals=[Goal(f"MiB that {large:,} Droplets peak above {small:,}", above, 5)],
        note="Peak resident memory of the process.",
    )
