"""From the bytes of a page to the response classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from typing import Any

from ..bodies import page
from ..processes import in_turn
from ..tables import Goal, Scale, Table
from ..timing import CPU, WALL, columns, fitting, timed

BACKUPS = 200
MSGSPEC = "msgspec into the same classes"
OURS = "gradient_async"
JSON = "`json.loads`, no classes"
GRADIENT = "gradient (pydantic)"
GRADIENT_STRICT = "gradient, validated"
CATTRS = "cattrs on `json.loads`"


def _msgspec() -> Callable[[bytes], Any]:
    import msgspec

    from gradient_async.types.gpu_droplets import BackupListResponse

    return msgspec.json.Decoder(BackupListResponse).decode


def _ours() -> Callable[[bytes], Any]:
    from gradient_async._structure import decode
    from gradient_async.types.gpu_droplets import BackupListResponse

    return lambda content: decode(BackupListResponse, content)


def _json() -> Callable[[bytes], Any]:
    return json.loads


def _gradient() -> Callable[[bytes], Any]:
    from gradient._models import construct_type
    from gradient.types.gpu_droplets import BackupListResponse

    return lambda content: construct_type(type_=BackupListResponse, value=json.loads(content))


def _gradient_strict() -> Callable[[bytes], Any]:
    from gradient._models import validate_type
    from gradient.types.gpu_droplets import BackupListResponse

    return lambda content: validate_type(type_=BackupListResponse, value=json.loads(content))


def _cattrs() -> Callable[[bytes], Any]:
    from cattrs.preconf.json import make_converter

    from gradient_async.types.gpu_droplets import BackupListResponse

    converter = make_converter()
    return lambda content: converter.loads(content, BackupListResponse)


DECODERS = {
    MSGSPEC: _msgspec,
    OURS: _ours,
    JSON: _json,
    GRADIENT: _gradient,
    GRADIENT_STRICT: _gradient_strict,
    CATTRS: _cattrs,
}


def rounds(side: str, seconds: float) -> Generator[dict[str, float], None, None]:
    """Measure a decoder."""
    decode, content = DECODERS[side](), page(BACKUPS)

    def run(count: int) -> dict[str, float]:
        with timed(count) as sample:
            for _ in range(count):
                decode(content)
        return sample

    warm = run(20)
    count = fitting(run(20), seconds, multiple=10)
    yield warm
    while True:
        yield run(count)


def measure(scale: Scale) -> Iterator[Table]:
    """Measure a page of 200 backups."""
    sides = {side: (rounds, (side, scale.seconds / 2)) for side in DECODERS}
    cpu, wall = columns(in_turn(sides, scale), CPU, WALL)
    yield Table(
        f"Decoding a page of {BACKUPS} backups",
        [cpu, wall],
        base=MSGSPEC,
        goals=[Goal(f"decoding {BACKUPS} backups / {MSGSPEC}", cpu.ratio(OURS, MSGSPEC), 1.3)],
        note="Per page.",
    )
