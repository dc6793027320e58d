"""Is every Droplet backed up as its policy says? Pure: policies, backups and a moment in.

`audit_droplet` judges one Droplet and `audit_fleet` all of them; neither asks the API. Who has a
client and no data yet takes `audit_account`, or `audit_account_blocking` without an event loop.

Example:
    >>> from datetime import UTC, datetime
    >>> from gradient_async.types import DropletBackupPolicy, Policy
    >>> policy = Policy(True, DropletBackupPolicy(plan="daily", hour=4), droplet_id=3164444)
    >>> audit = audit_droplet(policy, [], now=datetime(2026, 9, 1, tzinfo=UTC))
    >>> print(audit.finding, "-", audit.reason)
    never - Backups are enabled, but there is none yet.
"""

from __future__ import annotations

from .account import audit_account
from .account_blocking import audit_account_blocking
from .findings import DropletAudit, Finding, FleetAudit
from .judge import audit_droplet, audit_fleet
from .plans import DEFAULT_GRACE, DEFAULT_WINDOW, plan_interval
from .times import format_duration

__all__ = [
    "DEFAULT_GRACE",
    "DEFAULT_WINDOW",
    "DropletAudit",
    "Finding",
    "FleetAudit",
    "audit_account",
    "audit_account_blocking",
    "audit_droplet",
    "audit_fleet",
    "format_duration",
    "plan_interval",
]
