"""Runs the command line as users do: a process of its own, with pipes or on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from thread_helpers import PATIENCE

from gradient_async.testing import Simulator

MODULE = ("-m", "gradient_async")
COMMAND = (sys.executable, *MODULE)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Every control character but the end of a line."""


def environment(simulator: Simulator | None = None, **changes: str) -> dict[str, str]:
    """Give the environment of a command: that of the tests, and where the simulator is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRADIENT_")}
    kept |= {"LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "PYTHONWARNINGS": "error"}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        kept.pop(name, None)
    if simulator is not None:
        kept |= {
            "DIGITALOCEAN_ACCESS_TOKEN": simulator.token,
            "GRADIENT_BASE_URL": simulator.url,
        }
    return kept | changes


@attrs.frozen
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The JSON documents on stdout, one to a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def told(self) -> str:
        """Give the one line on stderr, which is not a traceback and has no control characters."""
        [line] = self.err.splitlines()
        assert not CONTROL.search(line)
        return line


@attrs.frozen
class Cli:
    """Runs commands against one simulator.

    Attributes:
        simulator: The simulated account.
        directory: Where the commands run.
    """

    simulator: Simulator
    directory: Path

    def __call__(self, *args: str | Path, **changes: str) -> Finished:
        """Run a command to its end; keywords are variables of its environment."""
        done = subprocess.run(
            [*COMMAND, *map(str, args)],
            cwd=self.directory,
            env=environment(self.simulator, **changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(
        self,
        *args: str | Path,
        stdout: Any = subprocess.PIPE,
        command: Sequence[str] = MODULE,
        **changes: str,
    ) -> subprocess.Popen[str]:
        """Start a command; Python is told how by ``command``, keywords are as above."""
        return subprocess.Popen(
            [sys.executable, *command, *map(str, args)],
            cwd=self.directory,
            env=environment(self.simulator, **changes),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def on_terminal(
        self,
        *args: str | Path,
        width: int = 100,
        keys: str = "",
        when: Callable[[str], bool] | None = None,
        then: Callable[[], object] = lambda: None,
        **changes: str,
    ) -> tuple[int, str]:
        """Run a command whose three streams are one terminal.

        Args:
            args: The arguments.
            width: The columns of the terminal.
            keys: What is typed at the start.
            when: Given what was shown so far, tells whether it is time for ``then``.
            then: Is called once.
            changes: Variables of the environment.

        Returns:
            The exit code, and everything that was shown.
        """
        return run_on_terminal(
            [*COMMAND, *map(str, args)],
            environment(self.simulator, **changes),
            self.directory,
            width,
            keys,
            _once(when, then),
        )


def _once(
    when: Callable[[str], bool] | None, then: Callable[[], object]
) -> Callable[[str, subprocess.Popen[bytes]], None]:
    done = when is None

    def look(shown: str, _: subprocess.Popen[bytes]) -> None:
        nonlocal done
        if not done and when is not None and when(shown):
            done = True
            then()

    return look


def run_on_terminal(
    command: Sequence[str],
    env: Mapping[str, str],
    directory: Path,
    width: int,
    keys: str,
    look: Callable[[str, subprocess.Popen[bytes]], None],
) -> tuple[int, str]:
    """Run a command on a pseudo-terminal, until it has ended and closed it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen(
        command, cwd=directory, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, keys.encode())
    shown, end = b"", time.monotonic() + PATIENCE
    try:
        while chunk := _read(ours, end):
            shown += chunk
            look(shown.decode("utf-8", "replace"), process)
        return process.wait(PATIENCE), shown.decode("utf-8")
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()


def _read(descriptor: int, end: float) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
    assert ready, "the command did not end in time"
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux tells the end of a terminal so
        return b""


def interrupt(process: subprocess.Popen[Any], number: signal.Signals = signal.SIGINT) -> None:
    """Do what Ctrl-C does, or what systemd and Kubernetes do."""
    process.send_signal(number)


def ended(process: subprocess.Popen[str]) -> Finished:
    """Wait for the end of a command."""
    out, err = process.communicate(timeout=PATIENCE)
    return Finished(process.returncode, out or "", err)
