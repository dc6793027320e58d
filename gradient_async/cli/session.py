"""The client that the options ask for, and the loop that it runs in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from .. import AsyncGradient, ConfigurationError
from .._config import TOKEN_VARIABLE
from .._text import clean
from .options import Connection
from .problems import Problem
from .signals import sigterm

__all__ = ["check_connection", "open_client", "run_in_loop", "token_source"]

T = TypeVar("T")


def check_connection(connection: Connection) -> None:
    """See that a client can be made, before anything else is done.

    Raises:
        Problem: It cannot: no token, or two options that exclude each other.
    """
    if not connection.simulate:
        _make_client(connection)
    elif connection.base_url or connection.token_file:
        other = "--base-url" if connection.base_url else "--token-file"
        raise Problem(f"--simulate asks no API, so {other} cannot be given with it")


def _make_client(connection: Connection) -> AsyncGradient:
    token = _read_token(connection.token_file) if connection.token_file else None
    if token is None and not os.environ.get(TOKEN_VARIABLE, "").strip():
        raise Problem(
            f"no access token: set the environment variable {TOKEN_VARIABLE}, or name a file "
            "with --token-file; --simulate needs none"
        )
    try:
        return AsyncGradient(access_token=token, base_url=connection.base_url)
    except ConfigurationError as error:
        raise Problem(error.problem) from error


def _read_token(path: Path) -> str:
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise Problem(f"cannot read the token file {clean(str(path))}: {reason}") from error
    if not token:
        raise Problem(f"the token file {clean(str(path))} is empty")
    return token


def token_source(connection: Connection) -> str:
    """Name where the token is read from."""
    path = connection.token_file
    return TOKEN_VARIABLE if path is None else f"the token in {clean(str(path))}"


@asynccontextmanager
async def open_client(connection: Connection) -> AsyncIterator[AsyncGradient]:
    """Make the client that the options ask for, and close it afterwards."""
    if connection.simulate:
        from .demo import demo_client

        async with demo_client() as client:
            yield client
    else:
        async with _make_client(connection) as client:
            yield client


def run_in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own, uvloop's where it is installed.

    Ctrl-C and SIGTERM cancel the coroutine, which may then still give its result.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(_cancelled_by_sigterm(work))
        except asyncio.CancelledError:  # it came too late for the coroutine to give a result
            raise KeyboardInterrupt from None


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        loop.call_soon_threadsafe(task.cancel)

    with sigterm.cancelling(cancel):
        return await work


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
