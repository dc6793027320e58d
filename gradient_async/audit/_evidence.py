"""What an audit gathers before it judges, from either client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ..errors import DeadlineExceededError
from ..types import DropletBackups, Policy
from .findings import FleetAudit
from .judge import Rules

__all__ = ["Evidence"]


class _Results(Protocol):
    """What is known of results that have not come yet."""

    @property
    def total(self) -> int | None: ...


class Evidence:
    """What is gathered from an account before it is judged, by either client."""

    def __init__(
        self,
        rules: Rules,
        policies: Mapping[int, Policy],
        fan_out: _Results,
        on_start: Callable[[int], None] | None,
        on_result: Callable[[DropletBackups], None] | None,
    ) -> None:
        self._results: list[DropletBackups] = []
        self._rules = rules
        self._policies = policies
        self._fan_out = fan_out
        self._on_start = on_start
        self._on_result = on_result

    def start(self) -> None:
        """Tell how many Droplets there are, once, when it is known."""
        if self._on_start is not None and self._fan_out.total is not None:
            self._on_start(self._fan_out.total)
            self._on_start = None

    def add(self, result: DropletBackups) -> None:
        """Take what is known of one more Droplet."""
        self.start()
        self._results.append(result)
        if self._on_result is not None:
            self._on_result(result)

    def give_up(self, error: DeadlineExceededError) -> None:
        """Take the Droplets without an answer for failed, if it is known which they are."""
        self.start()
        total = self._fan_out.total
        if total is None or len(self._results) + len(error.missing) < total:
            raise error
        for droplet_id in error.missing:
            late = DeadlineExceededError(deadline=error.deadline, missing=(droplet_id,))
            self._results.append(DropletBackups(droplet_id, error=late))

    def audit(self) -> FleetAudit:
        """Judge the Droplets that have an answer, or none for good."""
        self.start()
        asked = {result.droplet_id for result in self._results}
        policies = {key: policy for key, policy in self._policies.items() if key in asked}
        return self._rules.audit_fleet(policies, self._results)
