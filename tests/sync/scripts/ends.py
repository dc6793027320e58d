"""Uses a client of its module without ever closing it, and ends in the way that is asked for."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable

from gradient_async import Gradient

client = Gradient(rate_limit=None)
droplet = int(os.environ["DROPLET_ID"])


def call() -> None:
    """Print how many backups there are."""
    print(client.gpu_droplets.backups.list(droplet).meta.total, flush=True)


def plain() -> None:
    """Do nothing more."""


def at_exit() -> None:
    """Call once more when the interpreter ends."""
    atexit.register(call)


def close_at_exit() -> None:
    """Close the client when the interpreter ends."""
    atexit.register(client.close)


def daemons() -> None:
    """End while daemon threads are in the middle of calls."""

    def run() -> None:
        started.release()
        while True:
            client.gpu_droplets.backups.list(droplet)

    started = threading.Semaphore(0)
    for _ in range(4):
        threading.Thread(target=run, daemon=True).start()
        started.acquire()
    client.gpu_droplets.backups.list(droplet)


def held_daemon() -> None:
    """End while a daemon thread waits for an answer that does not come."""
    threading.Thread(target=call, daemon=True).start()
    sys.stdin.readline()


def exit_in_a_thread() -> None:
    """End a thread by ``sys.exit`` after a call."""

    def run() -> None:
        call()
        sys.exit(3)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def thread_goes_on() -> None:
    """Leave a call to a thread that goes on after the main thread."""

    def run() -> None:
        threading.main_thread().join()
        call()

    threading.Thread(target=run).start()


def thread_begins() -> None:
    """Leave the first call to a thread that goes on after the main thread."""
    thread_goes_on()


def iteration() -> None:
    """Leave an iteration half way, still held."""
    results = client.gpu_droplets.backups.list_many([droplet, droplet + 1, droplet + 2])
    print(len(next(results).backups))
    globals()["held"] = results


def collected_late() -> None:
    """Call the client from a finalizer, when the interpreter has taken down its threads."""

    class Late:
        def __del__(self) -> None:
            try:
                call()
            except RuntimeError as error:
                print(str(error).replace(" ", "-"))

    globals()["held"] = Late()


def close_late() -> None:
    """Close clients, one used and one not, from a finalizer at the very end."""

    class Late:
        def __init__(self, *clients: Gradient) -> None:
            self.clients = clients

        def __del__(self) -> None:
            for client in self.clients:
                client.close()
                print(client.is_closed())

    globals()["held"] = Late(client, Gradient())


def terminated() -> None:
    """End by a SIGTERM whose handler calls ``sys.exit``, as service managers have it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.kill(os.getpid(), signal.SIGTERM)


ways: dict[str, Callable[[], None]] = {
    way.__name__: way
    for way in (
        plain,
        at_exit,
        close_at_exit,
        daemons,
        held_daemon,
        exit_in_a_thread,
        thread_goes_on,
        thread_begins,
        iteration,
        collected_late,
        close_late,
        terminated,
    )
}
if sys.argv[1] not in ("held_daemon", "thread_begins"):
    call()
ways[sys.argv[1]]()
