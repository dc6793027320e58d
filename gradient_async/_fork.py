"""What belongs to one process: a child makes it anew after ``os.fork``, and it is not pickled."""

from __future__ import annotations

import os
import weakref
from typing import NoReturn, Protocol

__all__ = ["ForkAware", "OfOneProcess", "keep_in_child", "tell_after_fork"]


class ForkAware(Protocol):
    """Something that does not survive a fork as it is."""

    def after_fork_in_child(self) -> None:
        """Make the object fit for the child, without touching what the parent still uses."""


class OfOneProcess:
    """A part of a client that has connections, locks or threads, and so no copy elsewhere."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client, or what comes of one, cannot be pickled or copied: make a client in each "
            "process, or take the client's own method `copy`"
        )


_told: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def tell_after_fork(fork_aware: ForkAware) -> None:
    """Have the object told in every child process that is forked while it lives."""
    _told.add(fork_aware)


def keep_in_child(of_the_parent: object) -> None:
    """Hold on to what must not be collected in this process: it would close what is shared."""
    _kept.append(of_the_parent)


_kept: list[object] = []


def _after_fork_in_child() -> None:
    for fork_aware in tuple(_told):
        fork_aware.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
