"""Raises in each line of a crossing in turn, as a signal handler may; names what is left of it."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType
from typing import Any

from asgiref.sync import SyncToAsync

from gradient_async import Gradient
from gradient_async._loop_thread import LoopThread
from gradient_async._portal import PLACE, Portal, _BridgedThread, _Crossing

LINES = {
    function.__code__
    for function in (
        Portal.run,
        Portal._enter,
        LoopThread.enter,
        LoopThread.leave,
        _BridgedThread.run,
        _Crossing.run_on,
    )
}


class Raised(Exception):
    """What the handler raises."""


class Tracer:
    """Raises as the line of that number is about to run."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.at: tuple[str, int] | None = None

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        """Trace a frame of a crossing, and raise once."""
        if frame.f_code not in LINES or self.at:
            return None
        if event == "line":
            self.left -= 1
            if self.left < 0:
                self.at = (frame.f_code.co_qualname, frame.f_lineno)
                raise Raised
        return self


def main() -> None:
    """Go through all lines."""
    warnings.simplefilter("ignore", RuntimeWarning)  # what is raised before a call was let in
    droplet_id, place = int(os.environ["DROPLET_ID"]), SyncToAsync.threadlocal.__dict__
    client, number, stale = Gradient(rate_limit=None), 0, 0
    client.gpu_droplets.backups.list(droplet_id)
    thread = client._portal._thread
    assert thread is not None
    while True:
        tracer = Tracer(number)
        sys.settrace(tracer)
        try:
            client.gpu_droplets.backups.list(droplet_id)
        except Raised:
            pass
        finally:
            sys.settrace(None)
        if tracer.at is None:
            break
        assert not list(thread._calls), tracer.at
        stale += place["main_event_loop"] is not None
        place.update(dict.fromkeys(PLACE))
        number += 1
    client.close()
    print(number > 20, stale)


if __name__ == "__main__":
    main()
