"""How code without an event loop gets into ours: one loop, in one thread, as long as the client.

The only file that knows asgiref. Its `AsyncToSync` runs a coroutine on the loop that it finds in a
thread-local pair, which `sync_to_async` sets in its threads; the portal sets that pair around each
call. So the call keeps what asgiref is for (context variables cross both ways, code that has to run
in the calling thread does) and needs no loop and no connection of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import os
import sys
import threading
import types
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Generic, TypeAlias, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync

from ._connections import CLOSED, CLOSED_MEANWHILE
from ._fork import OfOneProcess, keep_in_child, tell_after_fork
from ._loop import running_loop_or_none
from ._loop_thread import JOIN_SECONDS, LoopThread, may_start, wait_for_the_end
from .errors import APIConnectionError, BlockingCallWarning

__all__ = ["LoopFactory", "Portal", "detached"]

T = TypeVar("T")
LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]
AtEnd: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

PACKAGE: Final = str(Path(__file__).parent) + os.sep
NOT_THE_CALLER: Final = (PACKAGE, contextlib.__file__)
CANCELLED: Final = (asyncio.CancelledError, concurrent.futures.CancelledError)
OWN_LOOP: Final = (
    "a blocking call on the client's own event loop would wait for itself: use AsyncGradient there"
)
PATCHED: Final = (
    "has patched the standard library, and the event loop of Gradient needs real threads and "
    "sockets: call it in a process that is not patched (a prefork or threaded worker), or use "
    "AsyncGradient in one"
)
PLACE: Final = ("main_event_loop", "main_event_loop_pid", "task_context")
"""What asgiref keeps for each thread: the loop above it, and whom to cancel there."""
_END: Final[Any] = object()


class _BridgedThread(LoopThread):
    """A loop that asgiref runs coroutines on."""

    _bridge: AsyncToSync[[_Crossing[Any]], Any] | None = None

    def run(self, crossing: _Crossing[T]) -> T:
        """Have asgiref run a coroutine on the loop, and put back what it found before."""
        place = SyncToAsync.threadlocal.__dict__
        found = {name: place.get(name) for name in PLACE}
        # asgiref raises it once more over there, which adds to its traceback.
        handled = sys.exception()
        traceback = None if handled is None else handled.__traceback__
        try:
            # The list is where a `sync_to_async` above us looks for a task to cancel, on its loop.
            place.update(main_event_loop=self.loop, main_event_loop_pid=self.pid, task_context=[])
            if self._bridge is None:  # before 3.12 it keeps its first loop: this one
                self._bridge = AsyncToSync(_Crossing.run)
            result: T = self._bridge(crossing)
            return result
        finally:
            place.update(found)
            if handled is not None:
                handled.__traceback__ = traceback


class _Crossing(Generic[T]):
    """One coroutine on its way through the portal."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._ended = False

    async def run(self) -> T:
        try:
            self._task = asyncio.current_task()
            if self._cancelled:
                raise asyncio.CancelledError
            return await self._work
        finally:
            self._ended = True

    def run_on(self, thread: _BridgedThread, *, beside_loop: bool) -> T:
        """Wait in the calling thread, which may run a loop, while that of the other runs it."""
        self._loop = thread.loop
        if beside_loop:  # which asgiref refuses
            return asyncio.run_coroutine_threadsafe(self.run(), thread.loop).result()
        return thread.run(self)

    def cancel(self) -> None:
        """Cancel the coroutine, from any thread, whether or not it has begun or ended."""
        if self._loop is None:
            self._work.close()
        elif not self._ended:
            with suppress(RuntimeError):  # the loop has ended, and the coroutine with it
                self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is None:
            self._work.close()
        elif not self._ended:
            self._task.cancel()


def _new_lock() -> threading.RLock:
    # Reentrant: a signal handler may call the client in the middle of a call.
    return threading.RLock()


class Portal(OfOneProcess):
    """Runs coroutines for threads that have no loop of their own, or none that may be used.

    Args:
        at_end: Is awaited on the loop when the portal is closed; it ends the calls under way.
        loop_factory: Makes the event loop, `uvloop.new_event_loop` say; ``None`` for asyncio's.
    """

    def __init__(self, at_end: AtEnd, loop_factory: LoopFactory | None = None) -> None:
        self._at_end = at_end
        self._loop_factory = loop_factory
        self._thread: _BridgedThread | None = None
        self._closed = False
        self._lock = _new_lock()
        tell_after_fork(self)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and give its result in the calling thread.

        Whatever ends the wait early (Ctrl-C, a signal handler that raises) cancels the coroutine.

        Raises:
            RuntimeError: The client is closed, or this is the portal's own loop, which would wait
                for itself.
        """
        crossing = _Crossing(work)
        try:
            here = self._check_place()
            thread = self._enter(crossing) or wait_for_the_end()
            return crossing.run_on(thread, beside_loop=here is not None)
        except CANCELLED:
            raise APIConnectionError(CLOSED_MEANWHILE, unreachable=True) from None
        except BaseException as error:
            crossing.cancel()
            error.__traceback__ = _without_machinery(error.__traceback__)
            raise
        finally:
            if (entered := self._thread) is not None:
                entered.leave(crossing)

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """Return the items of an asynchronous iterator, each as it comes."""
        while (item := self.run(_next(items))) is not _END:
            yield item

    def _enter(self, crossing: _Crossing[Any]) -> _BridgedThread | None:
        """Let a call in, and return the loop's thread, which the first call starts.

        ``None`` for a thread that goes on while the program ends.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(CLOSED)
            while self._thread is None or not self._thread.enter(crossing):
                if not may_start():
                    return None
                self._thread = self._start()
            return self._thread

    def _check_place(self) -> asyncio.AbstractEventLoop | None:
        """Refuse, or warn of, a call that holds up a loop; give the loop that runs here."""
        if sys.is_finalizing():
            raise RuntimeError("the interpreter is ending, and its threads with it")
        _refuse_green_threads()
        here = running_loop_or_none()
        if here is not None:
            if self._thread is not None and self._thread.loop is here:
                raise RuntimeError(OWN_LOOP)
            _warn_of_blocking()
        return here

    def _start(self) -> _BridgedThread:
        thread = _BridgedThread((self._loop_factory or asyncio.new_event_loop)(), self._at_end)
        # When nobody holds the portal any more.
        weakref.finalize(self, thread.stop).atexit = False
        thread.start()
        return thread

    def close(self) -> None:
        """End the calls under way, and the loop. Closing again only waits for that.

        Raises:
            RuntimeError: This is the portal's own loop, which would wait for itself.
        """
        with self._lock:
            thread, first = self._thread, not self._closed
            if thread is not None and thread.loop is running_loop_or_none():
                raise RuntimeError(OWN_LOOP)
            self._closed = True
        if thread is not None and first and not thread.stopped:
            self._end(thread)
        if thread is not None:
            thread.join()
        _run_without_loop(self._at_end())  # again, if a loop was used, which may have ended before

    def _end(self, thread: _BridgedThread) -> None:
        # A call that has been let in must find the loop running, or it would wait for ever.
        try:
            ending = asyncio.run_coroutine_threadsafe(self._at_end(), thread.loop)
            with suppress(*CANCELLED):  # by the end of the program, which ends the loop, too
                ending.result(JOIN_SECONDS)
            thread.wait_until_left()
        finally:
            thread.stop()

    def shared(self, at_end: AtEnd) -> Portal:
        """Return the same portal for a copy of the client, which ends itself but not the loop."""
        return _BorrowedPortal(self, at_end)

    def after_fork_in_child(self) -> None:
        """Start afresh: the loop's thread exists in the parent only."""
        self._lock = _new_lock()
        if self._thread is not None:
            keep_in_child(self._thread)
            self._thread = None


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items, _END)


def _run_without_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that finds nothing to await, since no loop has been used."""
    with suppress(StopIteration):
        work.send(None)


class _BorrowedPortal(Portal):
    """The portal of a client as its copy sees it."""

    def __init__(self, owner: Portal, at_end: AtEnd) -> None:
        self._owner = owner
        self._at_end = at_end
        self.run = owner.run  # type: ignore[method-assign] # a method would be seen in tracebacks

    def close(self) -> None:
        """End the copy, and leave the portal to its owner."""
        _run_without_loop(self._at_end())

    def shared(self, at_end: AtEnd) -> Portal:
        return self._owner.shared(at_end)


def _without_machinery(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """Leave out of a traceback how the call crossed to the loop's thread and back."""
    if traceback is None:
        return None
    rest = _without_machinery(traceback.tb_next)
    module = traceback.tb_frame.f_globals.get("__name__", "")
    if module == __name__ or module.startswith(("asgiref.", "concurrent.futures")):
        return rest
    return types.TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


def _warn_of_blocking() -> None:
    """Warn at the line that called the library: by default, that is once per place."""
    frame = inspect.currentframe()
    stacklevel = 1
    while frame is not None and frame.f_code.co_filename.startswith(NOT_THE_CALLER):
        frame = frame.f_back
        stacklevel += 1
    warnings.warn(
        "a blocking call holds up the event loop that runs in this thread: use AsyncGradient there",
        BlockingCallWarning,
        stacklevel=stacklevel,
    )


def _refuse_green_threads() -> None:
    gevent, eventlet = map(sys.modules.get, ("gevent.monkey", "eventlet.patcher"))
    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "select"))):
        raise RuntimeError(f"gevent {PATCHED}")
    if eventlet is not None and any(map(eventlet.is_monkey_patched, ("thread", "select"))):
        raise RuntimeError(f"eventlet {PATCHED}")


async def detached(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await what leaves tasks behind: they cannot call back into a thread that has gone on."""
    AsyncToSync.executors.current = None
    return await work()
