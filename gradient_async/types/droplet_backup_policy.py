"""The policy by which a Droplet is backed up."""

from typing import Literal

from ._model import Model, response

__all__ = ["DropletBackupPolicy"]


@response
class DropletBackupPolicy(Model):
    """The policy by which a Droplet is backed up.

    Attributes:
        hour: The hour of the day, in UTC, at which the backup window opens; 0 is midnight.
        plan: ``"daily"``, ``"weekly"`` or a newer plan such as ``"intra_daily_4h"``.
        retention_period_days: How many days a backup is kept.
        weekday: The day of a weekly backup, ``"SUN"`` to ``"SAT"``.
        window_length_hours: How many hours the backup window stays open.
    """

    hour: int | None = None
    plan: Literal["daily", "weekly"] | str | None = None
    retention_period_days: int | None = None
    weekday: Literal["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] | str | None = None
    window_length_hours: int | None = None
