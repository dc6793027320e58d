"""How a command ends when it cannot do what it was asked to."""

from __future__ import annotations

from typing import Final

import click

from .._text import clean

__all__ = [
    "BUG",
    "FAILED",
    "INCOMPLETE",
    "INTERRUPTED",
    "OK",
    "READER_GONE",
    "TERMINATED",
    "USAGE",
    "Problem",
    "one_line",
]

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INCOMPLETE: Final = 3
BUG: Final = 70
"""What ``sysexits.h`` calls EX_SOFTWARE."""
INTERRUPTED: Final = 130
READER_GONE: Final = 141
"""What shells show for a program that SIGPIPE ended."""
TERMINATED: Final = 143
"""What shells show for a program that SIGTERM ended."""


class Problem(click.ClickException):
    """Ends the command with one line on stderr.

    Args:
        message: What is wrong, and what to do about it.
    """

    exit_code = USAGE


def one_line(error: click.ClickException) -> str:
    """Return the line that an error is told in."""
    command = "gradient-async"
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        command = error.ctx.command_path
        hint = f" (see {command} --help)"
    return f"{command}: {clean(error.format_message()).rstrip('.')}{hint}"
