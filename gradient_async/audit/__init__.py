"""Is every Droplet backed up as its policy says?

`audit_droplet` judges one Droplet and `audit_fleet` all of them, from the policies, the backups and
the moment that they are given: both are pure. `audit_account`, and `audit_account_blocking` for
code without an event loop, ask the API for what they need first.

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
