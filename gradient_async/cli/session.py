"""Which API is asked, and how: the options that all commands share, and the client they make."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs

from .. import AsyncGradient, ConfigurationError
from .problems import Problem
from .text import clean

__all__ = ["Connection", "open_client", "run_in_loop"]

T = TypeVar("T")
TOKEN_VARIABLE = "DIGITALOCEAN_ACCESS_TOKEN"  # noqa: S105 - a name, not a token


@attrs.frozen
class Connection:
    """What the options say about the API.

    Attributes:
        simulate: Ask a simulated account and not the API.
        base_url: Where the API is, ``None`` for the default.
        token_file: The file with the token, ``None`` for the environment variable.
        concurrency: How many Droplets are asked about at once.
        deadline: Seconds for the whole run, ``None`` for no bound.
        progress: Whether a progress bar may be shown.
    """

    simulate: bool = False
    base_url: str | None = None
    token_file: Path | None = None
    concurrency: int = 50
    deadline: float | None = None
    progress: bool = True

    def check(self) -> None:
        """See that a client can be made, before anything else is done.

        Raises:
            Problem: It cannot: no token, or two options that exclude each other.
        """
        if not self.simulate:
            self.client()
        elif self.base_url or self.token_file:
            other = "--base-url" if self.base_url else "--token-file"
            raise Problem(f"--simulate asks no API, so {other} cannot be given with it")

    def client(self) -> AsyncGradient:
        """Make the client of the API.

        Raises:
            Problem: There is no token, or one that cannot be sent, or a wrong base URL.
        """
        token = _read_token(self.token_file) if self.token_file else None
        if token is None and not os.environ.get(TOKEN_VARIABLE, "").strip():
            raise Problem(
                f"no access token: set the environment variable {TOKEN_VARIABLE}, or name a file "
                "with --token-file; --simulate needs none"
            )
        try:
            return AsyncGradient(access_token=token, base_url=self.base_url)
        except ConfigurationError as error:
            raise Problem(str(error)) from error


def _read_token(path: Path) -> str:
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise Problem(f"cannot read the token file {clean(str(path))}: {reason}") from error
    if not token:
        raise Problem(f"the token file {clean(str(path))} is empty")
    return token


@asynccontextmanager
async def open_client(connection: Connection) -> AsyncIterator[AsyncGradient]:
    """Give the client that the options ask for, and close it afterwards."""
    if connection.simulate:
        from .demo import demo_client

        async with demo_client() as client:
            yield client
    else:
        async with connection.client() as client:
            yield client


def run_in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own, uvloop's where it is installed.

    Ctrl-C cancels the coroutine, which may then still give its result.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
