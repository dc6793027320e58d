"""uvloop in place of asyncio's own loop."""

from __future__ import annotations

from collections.abc import Iterator

from ..canned import canned
from ..processes import in_turn
from ..sides import FLOOR, OURS
from ..tables import Scale, Table
from ..timing import CPU, WALL, columns
from .awaited import rounds


def measure(scale: Scale) -> Iterator[Table]:
    """Measure the floor and ourselves on both loops. No goal asks for it."""
    if scale.quick:
        return
    with canned(4) as server:
        sides = {
            f"{side}, {'uvloop' if uvloop else 'asyncio'}": (
                rounds,
                (side, server.url, scale.seconds, uvloop),
            )
            for side in (FLOOR, OURS)
            for uvloop in (False, True)
        }
        cpu, wall = columns(in_turn(sides, scale, together=sides), CPU, WALL)
    yield Table(
        "One awaited `list` on uvloop, 4 backups in the answer",
        [cpu, wall],
        base=f"{FLOOR}, asyncio",
        note="Per request, with 50 in flight.",
    )
