"""Clients, threads and processes for the tests of the blocking client."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from thread_helpers import PATIENCE

import gradient_async
from gradient_async import Gradient
from gradient_async.testing import Simulator

T = TypeVar("T")

PACKAGE_HOME = str(Path(gradient_async.__file__).parents[1])


class Clients:
    """Makes clients of one simulator, and remembers them."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._made: list[Gradient] = []

    def make(self, **options: Any) -> Gradient:
        """Make a client; without a rate limit unless one is given."""
        options = {"rate_limit": None, **options}
        client = Gradient(self._simulator.token, base_url=self._simulator.url, **options)
        self._made.append(client)
        return client

    def close(self) -> None:
        """Close all of them."""
        for client in self._made:
            client.close()


class Call(threading.Thread, Generic[T]):
    """A call in a thread of its own, begun at once."""

    def __init__(self, function: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._result: list[T] = []
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self._result.append(self._function())
        except BaseException as error:
            self.error = error

    def result(self) -> T:
        """Wait for what the call gives, and raise what it raises."""
        self.join(PATIENCE)
        assert not self.is_alive(), "the call has not ended"
        if self.error is not None:
            raise self.error
        return self._result[0]


def loop_threads() -> list[threading.Thread]:
    """Give the threads of this process that run the loop of a blocking client."""
    return [thread for thread in threading.enumerate() if thread.name == "gradient-async"]


def open_files() -> int:
    """Count the files and sockets that this process has open."""
    gc.collect()
    return len(os.listdir("/dev/fd"))


class Scripts:
    """Runs the scripts in ``scripts/`` in processes of their own, against a simulator."""

    def __init__(self, simulator: Simulator, droplet_id: int) -> None:
        # Without coverage, which is still at work as the interpreter ends, and says so.
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")},
            "DIGITALOCEAN_ACCESS_TOKEN": simulator.token,
            # By name, as the API is: a lookup is one thing more that can be under way.
            "GRADIENT_BASE_URL": simulator.url.replace("127.0.0.1", "localhost"),
            "DROPLET_ID": str(droplet_id),
            "PYTHONPATH": PACKAGE_HOME,
        }

    def start(
        self, name: str, *arguments: str, options: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """Start a script."""
        path = Path(__file__).parent / "scripts" / f"{name}.py"
        return subprocess.Popen(
            [sys.executable, *options, str(path), *arguments],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
        """Run a script that has to end well and in silence; the words that it printed."""
        return ended_well(self.start(name, *arguments, options=options))


def ended_well(process: subprocess.Popen[str]) -> list[str]:
    """Wait for a script that has to end well and in silence; the words that it printed."""
    with process:
        try:
            printed, complaints = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, complaints) == (0, ""), f"{process.returncode}: {complaints}"
    return printed.split()
