"""Raises in each line of a crossing in turn, as a signal handler may; names what is left of it."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

from asgiref.sync import SyncToAsync

from gradient_async import Gradient
from gradient_async._connections import MAX_CONNECTIONS
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


def listed(client: Gradient, droplet_id: int) -> None:
    """Make a call."""
    client.gpu_droplets.backups.list(droplet_id)


def streamed(client: Gradient, droplet_id: int) -> None:
    """Make a call whose answer is read by hand."""
    with client.gpu_droplets.backups.with_streaming_response.list(droplet_id):
        pass


def go_through(client: Gradient, call: Callable[[Gradient, int], None]) -> tuple[int, int]:
    """Count the lines of a call, and after how many of them asgiref is not as it was."""
    droplet_id, place = int(os.environ["DROPLET_ID"]), SyncToAsync.threadlocal.__dict__
    call(client, droplet_id)
    thread = client._portal._thread
    assert thread is not None
    stale = 0
    for number in range(1_000):
        tracer = Tracer(number)
        sys.settrace(tracer)
        try:
            call(client, droplet_id)
        except Raised:
            pass
        finally:
            sys.settrace(None)
        if tracer.at is None:
            return number, stale
        assert not list(thread._calls), tracer.at
        stale += place["main_event_loop"] is not None
        place.update(dict.fromkeys(PLACE))
    raise AssertionError


def main() -> None:
    """Go through all lines of both, and name the connections that are in use then."""
    warnings.simplefilter("ignore", RuntimeWarning)  # what is raised before a call was let in
    client = Gradient(rate_limit=None)
    for call in (listed, streamed):
        lines, stale = go_through(client, call)
        [here] = client._wrapped._transport.connections._by_loop.values()
        for _ in range(3_000):
            if here.slots.free == MAX_CONNECTIONS:
                break
            threading.Event().wait(0.01)
        print(lines > 20, stale, MAX_CONNECTIONS - here.slots.free)
    client.close()


if __name__ == "__main__":
    main()
