"""A thread that runs an event loop as long as a client needs it, and how it ends.

It ends with its client, when that is closed or dropped, or with the program.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from contextlib import suppress
from typing import Final, NoReturn
from weakref import WeakSet

__all__ = ["JOIN_SECONDS", "LoopThread", "may_start", "wait_for_the_end"]

JOIN_SECONDS: Final = 5.0


class LoopThread:
    """Runs an event loop until it is stopped, and knows the calls that are under way on it.

    With the loop its sessions are closed, and the calls that are under way are cancelled.

    Args:
        loop: The loop.
        held: What has sessions on it, held until it has ended: two that close one session would get
            into each other's way.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, held: object) -> None:
        self.loop = loop
        self.stopped = False
        # A signal handler that raises may do so anywhere, also before a call has left.
        self._calls = WeakSet[object]()
        # Reentrant: a signal handler may call the client in the middle of a call.
        self._lock = threading.RLock()
        self._left = threading.Condition(self._lock)
        self._held = held
        self.pid = os.getpid()
        self._stop = loop.create_future()
        self._thread = threading.Thread(target=self._serve, name="gradient-async", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: There can be no more threads.
        """
        _live.add(self)
        try:
            self._thread.start()
        except RuntimeError:
            _live.discard(self)
            self.loop.close()
            raise
        except BaseException:  # it may have been started
            self.stop()
            raise

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._until_stopped())
        _live.discard(self)

    async def _until_stopped(self) -> None:
        await self._stop

    def enter(self, call: object) -> bool:
        """Let a call in, which keeps the loop running, unless it is ending; tell whether."""
        with self._lock:
            if not self.stopped:
                self._calls.add(call)
            return not self.stopped

    def leave(self, call: object) -> None:
        """Let a call out, if it is in."""
        if call not in self._calls:  # nothing waits for the lock as the interpreter ends
            return
        with self._lock:
            self._calls.discard(call)
            if not self._calls:
                self._left.notify_all()

    def wait_until_left(self) -> None:
        """Wait until no call is under way."""
        with self._lock:
            self._left.wait_for(lambda: not self._calls, JOIN_SECONDS)

    def stop_if_idle(self) -> bool:
        """Have the loop end if no call is under way, and let no more in."""
        if self.pid != os.getpid():
            return False
        with self._lock:
            if not self._calls:
                self.stop()
            return self.stopped

    def stop(self) -> None:
        """Have the loop end. Waits for nothing, so a finalizer can call it in any thread."""
        if self.pid == os.getpid():
            self.stopped = True
            with suppress(RuntimeError):  # it has ended already
                self.loop.call_soon_threadsafe(self._set_stopped)

    def _set_stopped(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    def join(self) -> None:
        """Wait until the thread has ended."""
        if self.pid == os.getpid():
            self._thread.join(JOIN_SECONDS)


_live: Final[set[LoopThread]] = set()
_exiting: Final = threading.Event()


@atexit.register
def _stop_all() -> None:
    """End the loops while the interpreter is still whole, so that their sessions can be closed.

    A loop with calls under way goes on: they are those of daemon threads, which end where they are.
    """
    _exiting.set()
    threads = [thread for thread in list(_live) if thread.stop_if_idle()]
    for thread in threads:
        thread.join()


def may_start() -> bool:
    """Tell whether a loop may be started: not by a daemon thread that outlives the program."""
    return not (_exiting.is_set() and threading.current_thread().daemon)


def wait_for_the_end() -> NoReturn:
    """Let a daemon thread go no further, as the interpreter itself is about to do."""
    while True:
        threading.Event().wait()
