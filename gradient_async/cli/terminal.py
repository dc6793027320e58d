"""What a terminal can show, and the lines that a person is told on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO

import click

from .text import clean

__all__ = ["may_colour", "most_named", "tell"]

MOST_NAMED: Final = 20
"""How many Droplets a terminal is shown; a log gets the names of all."""


def may_colour(stream: TextIO) -> bool:
    """Tell whether what is written to a stream may have colours: https://no-color.org."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def tell(lines: Iterable[str], **style: Any) -> None:
    """Write lines to stderr, in the style of `click.style` where it can be."""
    styled = may_colour(sys.stderr)
    for line in map(clean, lines):
        click.echo(click.style(line, **style) if styled else line, err=True)


def most_named() -> int | None:
    """Tell how many Droplets are named on stderr, ``None`` for all."""
    return MOST_NAMED if sys.stderr.isatty() else None
