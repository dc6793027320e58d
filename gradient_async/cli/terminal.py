"""What a terminal can show, and the lines that a person is told on stderr."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO

import click

from .._text import clean

__all__ = [
    "buffer_standard_streams",
    "is_terminal",
    "legible",
    "may_colour",
    "most_named",
    "occupy_standard_descriptors",
    "tell",
    "tell_as_it_is",
]

MOST_NAMED: Final = 20
"""How many Droplets a terminal is shown; a log gets the names of all."""

STDERR: Final = 2
ASCII: Final = str.maketrans("─·…", "--~")
"""What stands for the signs of a table where there are none."""


def occupy_standard_descriptors() -> None:
    """Let no file or socket have the number of a stream that was closed, as by ``2>&-``.

    What is written to that stream, by the interpreter say, would be in it; libuv aborts.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(descriptor)


def buffer_standard_streams() -> None:
    """Give stdout and stderr the buffers that ``python -u`` took away.

    Without one, a write that is interrupted (Ctrl-Z, ``docker pause``) loses the rest in silence.
    """
    if sys.stdout is sys.__stdout__:  # and not what somebody put in its place
        sys.stdout = _buffered(sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _buffered(sys.stderr)


def _buffered(stream: Any) -> Any:
    if not isinstance(getattr(stream, "buffer", None), io.RawIOBase):
        return stream
    return open(
        stream.fileno(),
        "w",
        buffering=1,
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
    )


def legible(line: str, stream: TextIO | None) -> str:
    """Return a line for people, with ASCII signs if the stream cannot encode it as it is."""
    try:
        line.encode((stream and stream.encoding) or "utf-8")
    except UnicodeEncodeError:
        return line.translate(ASCII)
    return line


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal: not if it is closed from the start, as by ``>&-``."""
    return stream is not None and stream.isatty()


def may_colour(stream: TextIO | None) -> bool:
    """Tell whether what is written to a stream may have colours: https://no-color.org."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not plain


def tell(lines: Iterable[str], **style: Any) -> None:
    """Write lines to stderr, in the style of `click.style` where it can be."""
    styled = may_colour(sys.stderr)
    for line in (legible(clean(line), sys.stderr) for line in lines):
        tell_as_it_is(click.style(line, **style) if styled else line)


def tell_as_it_is(text: str) -> None:
    """Write to stderr; where nobody can be told any more, what was done is done all the same."""
    try:
        click.echo(text, err=True)
    except OSError:  # also for what is left in its buffer at the end of the interpreter
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)


def most_named() -> int | None:
    """Tell how many Droplets are named on stderr, ``None`` for all."""
    return MOST_NAMED if is_terminal(sys.stderr) else None
