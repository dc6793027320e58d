"""The gate that an answer closes for all requests of a token, until the moment that it names.

A 429 does, and one that says that nothing is left.

Pure: `Gate` is told the time.

Where nothing tells how long to wait, the time of the opening is a guess. Then one request goes
first, the probe: the others wait for its answer, or all of them would be refused once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ._retry import backoff
from .errors import LimitKind

__all__ = ["ANSWER_SECONDS", "LONGEST_SPREAD", "SPREAD", "Gate"]

LONGEST_BACKOFF: Final = 30.0
ANSWER_SECONDS: Final = 1.0
"""How long those that wait for the answer to the probe expect it to take."""
SPREAD: Final = 0.05
"""The gate opens later by up to this part of the pause, so that processes do not come in step."""
LONGEST_SPREAD: Final = 1.0
"""Seconds that this is at most."""


class Gate:
    """Open, closed until some time, or closed until the probe is answered.

    Args:
        random: Gives a number from 0 to 1, for the spread of the opening.

    Attributes:
        opens_at: When it opens, or did.
        closed_by: The limit that closed it, where that is known.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self.opens_at: float = float("-inf")
        self.closed_by: LimitKind | None = None
        self._random = random
        self._refusals = 0  # in a row
        self._guessed = False
        self._probe_sent_at: float | None = None

    def is_open(self, now: float) -> bool:
        """Tell whether a request may pass."""
        return now >= self.opens_at and self._probe_sent_at is None

    def passes_at(self, now: float) -> float:
        """Return the earliest time at which a request may pass, as far as that is known."""
        probed = self._probe_sent_at is not None
        return max(now + ANSWER_SECONDS if probed else now, self.opens_at)

    def on_pass(self, now: float) -> None:
        """Take notice of a request that passes, which may be the probe."""
        if self._guessed:
            self._probe_sent_at = now

    def on_give_back(self, sent_at: float) -> None:
        """Take notice of a request that was not sent after all. Another one is the probe then."""
        if sent_at == self._probe_sent_at:
            self._probe_sent_at = None

    def on_end(self, sent_at: float, *, answered: bool) -> None:
        """Take notice of a request that ended and was not refused."""
        if sent_at == self._probe_sent_at:
            self._probe_sent_at, self._guessed = None, False
        if answered and sent_at >= self.opens_at:
            self._refusals = 0

    def on_refusal(
        self, now: float, sent_at: float, pause: float | None, limit: LimitKind | None
    ) -> None:
        """Close after an answer 429.

        Answers to requests that were sent before it closed tell nothing new: only one that wants a
        pause longer by more than rounding moves the opening.

        Args:
            now: The time.
            sent_at: When the request was sent.
            pause: The seconds that the answer asks for; ``None`` where nothing tells.
            limit: The limit that it is about; ``None`` where nothing tells.
        """
        self.on_give_back(sent_at)
        if sent_at >= self.opens_at:
            self._refusals += 1
            self._guessed = pause is None
            self._close(now + self._spread(self._longer_each_time(pause)), limit)
        elif pause is not None and now + pause > self.opens_at + 1:
            self._guessed = False
            self._close(now + pause, limit)

    def close_for(self, now: float, pause: float) -> None:
        """Close for so many seconds, whatever limit it is, if it is not closed for longer."""
        if now + pause > self.opens_at:
            self._close(now + self._spread(pause), None)

    def forget_probe(self) -> None:
        """Wait for no answer any more."""
        self._probe_sent_at, self._guessed = None, False

    def _longer_each_time(self, pause: float | None) -> float:
        wanted = backoff(1, 0.0) if pause is None else pause
        if self._refusals == 1:
            return wanted
        return max(wanted, backoff(self._refusals - 1, 0.0, longest=LONGEST_BACKOFF))

    def _spread(self, pause: float) -> float:
        return pause + self._random() * min(SPREAD * pause, LONGEST_SPREAD)

    def _close(self, opens_at: float, limit: LimitKind | None) -> None:
        self.opens_at, self.closed_by = opens_at, limit
