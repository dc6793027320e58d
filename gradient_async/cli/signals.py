"""SIGTERM ends a command as Ctrl-C does: what was finished is written, what was not is named."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import attrs

__all__ = ["sigterm"]


@attrs.define
class _Sigterm:
    """What is done when SIGTERM comes.

    Attributes:
        came: Whether it came.
    """

    came: bool = False
    _cancel: Callable[[], object] | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle it within the block, in the main thread; no other thread can."""
        self.came = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def cancelling(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Call this once, within the block, instead of raising KeyboardInterrupt anywhere."""
        self._cancel = cancel
        try:
            yield
        finally:
            self._cancel = None

    def _handle(self, _: int, __: FrameType | None) -> None:
        self.came = True
        cancel, self._cancel = self._cancel, None
        if cancel is None:
            raise KeyboardInterrupt
        cancel()


sigterm: _Sigterm = _Sigterm()
