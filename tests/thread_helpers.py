"""Waiting without a loop, and a signal that ends a wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 30.0
"""Seconds after which a test fails instead of waiting on; nothing is expected to take them."""


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that tells nobody when it comes true."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError("it has not come true")


@contextmanager
def signalled(when: Callable[[], object], number: int = signal.SIGINT) -> Iterator[None]:
    """Send a signal to the main thread as soon as ``when`` returns, which runs in a thread.

    Python handles a signal that comes just before the thread begins to wait only when that wait
    ends (1 in 100 of those sent at the worst moment), and these tests wait for ever. So signals
    that do nothing else end the wait, until the block has been left.
    """
    main, left = threading.main_thread().ident or 0, threading.Event()
    failures: list[Exception] = []

    def send() -> None:
        try:
            when()
        except Exception as error:
            failures.append(error)
        signal.pthread_kill(main, number)
        while not left.wait(0.05):
            signal.pthread_kill(main, signal.SIGURG)

    before = signal.signal(signal.SIGURG, lambda *_: None)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield
    finally:
        left.set()
        sender.join(PATIENCE)
        signal.signal(signal.SIGURG, before)
    if failures:
        raise failures[0]
