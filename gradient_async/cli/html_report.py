"""The audit as one HTML page that needs nothing else: no network, no server, no other file.

The page holds the figures as JSON and draws what is looked at: a page of the table, and beside it
the backups of the same Droplets on a time line. So 5,000 Droplets are as quick as five.

The time lines are drawn by plotly.js, which is carried compressed: 2 MB in place of 4.8 MB. A
content security policy admits the two scripts of the page by their hashes, and no connection.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import attrs
from jinja2 import Environment, FunctionLoader, StrictUndefined
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from ..audit import DropletAudit, Finding, FleetAudit, format_duration
from .text import count_of, day_and_time, gigabytes

__all__ = ["render_report"]

LABELS = {
    Finding.OK: ("OK", "✓"),
    Finding.DISABLED: ("Disabled", "⊘"),
    Finding.UNKNOWN_PLAN: ("Unknown plan", "?"),
    Finding.SHORT: ("Short", "◔"),
    Finding.OVERDUE: ("Overdue", "!"),
    Finding.NEVER: ("Never", "∅"),
    Finding.ERROR: ("Error", "✕"),
}
MEANINGS = {
    Finding.OK: "recent enough, and none is missing",
    Finding.DISABLED: "backups are switched off",
    Finding.UNKNOWN_PLAN: "how often the plan makes a backup is not known",
    Finding.SHORT: "fewer backups than the retention promises",
    Finding.OVERDUE: "the newest backup is too old",
    Finding.NEVER: "enabled, but no backup yet",
    Finding.ERROR: "could not be judged",
}

FIELDS = (
    *("id", "name", "backupName", "finding", "reason", "plan", "retention", "age", "allowed"),
    *("count", "promised", "gigabytes", "windowStart", "windowEnd", "times"),
)
"""The columns of a row in the page. Times and durations are whole minutes, before now.

The newest backup's name is there where that of the Droplet is not known.
"""


def render_report(
    audit: FleetAudit,
    *,
    title: str = "Droplet backups",
    generated_at: datetime | None = None,
) -> str:
    """Write an audit as one self-contained HTML page.

    Args:
        audit: The audit.
        title: The heading of the page.
        generated_at: When the page was made; now by default.

    Returns:
        The page. It is about 2 MB with the drawing library, and 0.3 kB more for each Droplet and 6
        bytes for each backup.

    Raises:
        ModuleNotFoundError: jinja2 or plotly is not installed; both come with ``[cli]``.

    Example:
        >>> from pathlib import Path
        >>> from gradient_async.audit import audit_account
        >>> page = render_report(await audit_account(client))
        >>> Path("report.html").write_text(page, encoding="utf-8") > 1_000_000
        True
    """
    library, library_hash = _library()
    script, style = _template_text("report.js"), _template_text("report.css")
    page = _environment().get_template("report.html.j2")
    return page.render(
        title=title,
        generated_at=generated_at or datetime.now(UTC),
        audit=audit,
        worst=audit.worst_recovery_point,
        findings=_findings(audit),
        plans=sorted({droplet.plan or "" for droplet in audit}),
        data={"now": _minutes_since_1970(audit.now), "fields": FIELDS, "rows": _rows(audit)},
        style=style,
        script=script,
        library=library,
        script_hashes=[_csp_hash(script), library_hash],
    )


@attrs.frozen
class _Share:
    """How many Droplets have a finding, and how the page shows it."""

    value: str
    label: str
    sign: str
    meaning: str
    count: int
    percent: float


def _findings(audit: FleetAudit) -> list[_Share]:
    return [
        _Share(
            finding.value,
            *LABELS[finding],
            meaning=MEANINGS[finding],
            count=count,
            percent=100 * count / max(1, len(audit)),
        )
        for finding, count in audit.counts.items()
    ]


def _rows(audit: FleetAudit) -> list[list[Any]]:
    return [_row(droplet, audit.now) for droplet in audit]


def _row(droplet: DropletAudit, now: datetime) -> list[Any]:
    """Return the values of `FIELDS`."""
    window = droplet.next_window
    return [
        droplet.droplet_id,
        droplet.droplet_name,
        None if droplet.droplet_name else droplet.newest_name,
        droplet.finding.severity,
        droplet.reason,
        droplet.plan,
        droplet.retention_period_days,
        _minutes(droplet.age),
        _minutes(droplet.allowed_age),
        droplet.count,
        droplet.promised,
        round(droplet.total_gigabytes, 2),
        _before(now, window.start if window else None),
        _before(now, window.end if window else None),
        [_before(now, made) for made in droplet.backup_times],
    ]


def _minutes(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // timedelta(minutes=1)


def _before(now: datetime, moment: datetime | None) -> int | None:
    return None if moment is None else _minutes(now - moment)


def _minutes_since_1970(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(minutes=1)


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_template_text),  # as a package may be in an archive
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    own: dict[str, Any] = {
        "count_of": count_of,
        "duration": format_duration,
        "gigabytes": gigabytes,
        "utc": _utc_text,
    }
    environment.filters.update(own)
    return environment


def _utc_text(moment: datetime) -> str:
    return f"{day_and_time(moment)} UTC"


@cache
def _library() -> tuple[str, str]:
    """Return plotly.js, compressed, and the hash of what is unpacked from it."""
    script: str = get_plotlyjs()
    packed = gzip.compress(script.encode(), mtime=0)
    return base64.b64encode(packed).decode(), _csp_hash(script)


def _template_text(name: str) -> str:
    return (resources.files("gradient_async.cli") / "templates" / name).read_text("utf-8")


def _csp_hash(script: str) -> str:
    """Name a script in a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
