"""Any answer with anything in it: a typed answer or `DecodeFailure`, and both ways agree.

``python -m fuzz.decode -max_total_time=60`` takes libFuzzer's arguments. An input is a list of
decisions: which answer, what in it is replaced by what, and which of its bytes are replaced then.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

atheris: Any = import_module("atheris")  # it has no types

with atheris.instrument_imports(include=["gradient_async", "cattrs"]):
    import_module("cattrs.cols")  # else imported late, and so not instrumented
    from gradient_async._structure import DecodeFailure, _decoder, _structure, decode, decode_any
    from gradient_async.types import (
        BackupListPoliciesResponse,
        BackupListResponse,
        BackupListSupportedPoliciesResponse,
        BackupRetrievePolicyResponse,
        DropletListResponse,
    )
    from gradient_async.types._images import ImageListResponse
    from gradient_async.types._model import Model

import msgspec

from gradient_async.testing import ALL_SCOPES, Fleet
from gradient_async.testing._pages import PageRules
from gradient_async.testing._routes import answer_call

SCALARS = (
    *(None, True, False, 0, -1, 2**53 + 1, 2**63, 2**64, 1.0, 1.5, 1e300),
    *("", "7", "backup", "daily", "intra_daily_4h", "é\0", "\ud800", "$.meta", " @ $"),
    *("2026-08-01T00:00:00Z", "2026-08-01T00:00:00", "2026-08-01", "2026-08-01 00:00Z"),
    *("2026-08-01T00:00:00.123456789+14:00", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z", "2026-08-01T24:00:00Z"),
)


def examples() -> list[tuple[type[Model], str]]:
    """Give an answer of a simulated account for each class, as JSON."""
    account = Fleet.generate(40)
    droplet = f"/v2/droplets/{next(iter(account.droplets))}"
    wanted: list[tuple[type[Model], str, dict[str, str]]] = [
        (BackupListResponse, f"{droplet}/backups", {"per_page": "2"}),
        (BackupListPoliciesResponse, "/v2/droplets/backups/policies", {"per_page": "3"}),
        (BackupListSupportedPoliciesResponse, "/v2/droplets/backups/supported_policies", {}),
        (BackupRetrievePolicyResponse, f"{droplet}/backups/policy", {}),
        (DropletListResponse, "/v2/droplets", {"per_page": "1", "type": "gpus"}),
        (ImageListResponse, "/v2/images", {"per_page": "2", "private": "true"}),
    ]
    return [
        (cls, answer_call(account, path, query, ALL_SCOPES, PageRules()).body.decode())
        for cls, path, query in wanted
    ]


EXAMPLES = examples()


class Draw:
    """Draws what the fuzzer decides."""

    def __init__(self, data: bytes) -> None:
        self._provider = atheris.FuzzedDataProvider(data)

    def number(self, most: int) -> int:
        """Draw a number from 0 to ``most``."""
        drawn: int = self._provider.ConsumeIntInRange(0, most)
        return drawn

    def value(self, depth: int = 3) -> Any:
        """Draw any JSON."""
        kind = self.number(5 if depth else 3)
        if kind == 4:
            return [self.value(depth - 1) for _ in range(self.number(3))]
        if kind == 5:
            return {self.text(): self.value(depth - 1) for _ in range(self.number(3))}
        if kind == 3:
            return self.text()
        return SCALARS[self.number(len(SCALARS) - 1)]

    def text(self) -> str:
        """Draw any text."""
        drawn: str = self._provider.ConsumeUnicode(self.number(12))
        return drawn

    def content(self, example: str) -> bytes:
        """Draw an answer that is not quite the example."""
        value = json.loads(example)
        for _ in range(self.number(3)):
            value = self._damaged(value)
        content = bytearray(
            json.dumps(value, ensure_ascii=bool(self.number(1))), "utf-8", "replace"
        )
        for _ in range(self.number(2) * self.number(2)):
            content[self.number(len(content) - 1)] = self.number(255)
        return bytes(content)

    def _damaged(self, value: Any) -> Any:
        """Replace, remove or add something at a place somewhere in the value."""
        if not isinstance(value, (dict, list)) or not value or not self.number(7):
            return self.value()
        key: Any = self.number(len(value) - 1)
        if isinstance(value, dict):
            key = list(value)[key]
        if not self.number(7):
            del value[key]
        else:
            value[key] = self._damaged(value[key])
        return value


def check(data: bytes) -> None:
    """Decode one answer."""
    draw = Draw(data)
    answer, example = EXAMPLES[draw.number(len(EXAMPLES) - 1)]
    content = draw.content(example)
    try:
        decoded = decode(answer, content)
    except DecodeFailure as failure:
        assert failure.path.startswith("$"), failure.path
        assert str(failure)
        return
    assert isinstance(decoded, answer)
    _check_both_ways(answer, content)
    again = decode(answer, decoded.to_json(indent=None).encode())
    assert again == decoded, (decoded, again)


def _check_both_ways(answer: type[Model], content: bytes) -> None:
    """Whatever the fast way accepts, the lenient way gives the same for."""
    try:
        fast = _decoder(answer).decode(content)
        plain = decode_any(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DecodeFailure):
        return
    lenient = _structure(answer, plain)
    assert fast == lenient, (fast, lenient)


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
