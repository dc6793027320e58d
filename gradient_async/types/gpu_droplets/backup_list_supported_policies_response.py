"""The answer of ``GET /v2/droplets/backups/supported_policies``."""

import attrs

from .._model import Model, response

__all__ = ["BackupListSupportedPoliciesResponse", "SupportedPolicy"]


@response
class SupportedPolicy(Model):
    """A plan that a Droplet can be backed up by.

    Attributes:
        name: The name of the plan, as in `DropletBackupPolicy.plan`.
        possible_days: The weekdays that can be chosen; empty when it runs every day.
        possible_window_starts: The hours of the day, in UTC, at which the window can open.
        retention_period_days: How many days a backup is kept.
        window_length_hours: How many hours the backup window stays open.
    """

    name: str | None = None
    possible_days: list[str] | None = None
    possible_window_starts: list[int] | None = None
    retention_period_days: int | None = None
    window_length_hours: int | None = None


@response
class BackupListSupportedPoliciesResponse(Model):
    """The plans that Droplets can be backed up by.

    Attributes:
        supported_policies: The plans.
    """

    supported_policies: list[SupportedPolicy] = attrs.field(factory=list)
