"""The answers that the canned server gives, with the fields that the API documents."""

from __future__ import annotations

import json
from typing import Any

PER_PAGE = 200


def backup(number: int) -> dict[str, Any]:
    """Give one backup, with the fields of an image that the clients have no use for."""
    return {
        "id": 100_000_000 + number,
        "name": f"gpu-worker-{number % 1000:03}-backup-{number}",
        "distribution": "Ubuntu",
        "slug": None,
        "public": False,
        "regions": ["nyc2", "tor1"],
        "created_at": f"2026-08-{number % 28 + 1:02}T{number % 24:02}:47:{number % 60:02}Z",
        "min_disk_size": 720,
        "size_gigabytes": number % 700 + 0.25,
        "type": "snapshot" if number % 10 == 0 else "backup",
    }


def page(total: int, number: int = 1) -> bytes:
    """Give one page of a listing of so many backups, 200 to a page."""
    first = (number - 1) * PER_PAGE
    last_page = -(-total // PER_PAGE)
    pages: dict[str, str] = {}
    if number > 1:
        pages |= {"first": _link(1), "prev": _link(number - 1)}
    if number < last_page:
        pages |= {"next": _link(number + 1), "last": _link(last_page)}
    body = {
        "backups": [backup(n) for n in range(first, min(first + PER_PAGE, total))],
        "links": {"pages": pages} if pages else {},
        "meta": {"total": total},
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _link(number: int) -> str:
    return f"https://api.digitalocean.com/v2/droplets/3164444/backups?page={number}&per_page=200"
