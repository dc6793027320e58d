"""Calls that mypy and pyright must reject; both complain of a marker that is not needed."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from gradient_async import AsyncGradient, Gradient, RateLimit, Timeout
from gradient_async.types import Backup


def clients() -> None:
    """Options that a client does not have, or not of this type."""
    AsyncGradient(api_key="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    Gradient("token", max_retries="2")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Gradient(rate_limit=250)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Timeout(1.0, 2.0)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    RateLimit(windows=250)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def blocking(client: Gradient) -> None:
    """Arguments that a method does not take."""
    backups = client.gpu_droplets.backups
    backups.list("3164444")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    backups.list()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    backups.list(1, 2)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    backups.list(1, perpage=2)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    backups.list(1, timeout="1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    backups.list_policies(page="1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    backups.list_many(["1"])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    backups.list_many(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    backups.list_fleet(plan="fast")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    backups.list_fleet(type="gpu")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    backups.with_raw_response.list("1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    _ = backups.with_raw_response.list(1).backups  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    _ = client.gpu_droplets.bakcups  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]


async def asynchronous(client: AsyncGradient) -> None:
    """Calls that lack an ``await``, or have one too many."""
    backups = client.gpu_droplets.backups
    _ = backups.list(1).backups  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    await backups.list_many([1])  # type: ignore[misc] # pyright: ignore[reportGeneralTypeIssues]
    for _ in backups.iter_backups(1):  # type: ignore[attr-defined] # pyright: ignore[reportGeneralTypeIssues]
        pass
    with backups.with_streaming_response.list(1):  # type: ignore[attr-defined] # pyright: ignore[reportGeneralTypeIssues]
        pass
    with client:  # type: ignore[attr-defined] # pyright: ignore[reportGeneralTypeIssues]
        pass


def answers(backup: Backup) -> None:
    """Answers cannot be changed."""
    backup.id = 7  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    _ = backup.size  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
