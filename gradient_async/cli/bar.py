"""The bar itself, on rich's live display."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import monotonic
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress import Tally

__all__ = ["make_bar"]

LONGEST: Final = 40
SHORTEST: Final = 8
SPARE: Final = 3
"""For the ``^C`` that a terminal shows: with it the line must not become two."""


def make_bar(
    title: str, tally: Tally, state: Callable[[float], list[str]]
) -> AbstractContextManager[object]:
    """Return a context manager that shows the bar on stderr and takes it away at the end.

    Args:
        title: What is being done.
        tally: How far it is.
        state: Gives, for the seconds since the start, what stands beside the bar.
    """
    console = Console(stderr=True, highlight=False)
    started = monotonic()

    def draw() -> Table:
        return _line(title, tally, state(monotonic() - started), console.width - SPARE)

    return Live(
        console=console,
        get_renderable=draw,
        refresh_per_second=10,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _line(title: str, tally: Tally, parts: list[str], width: int) -> Table:
    """Draw one line: the title, a bar as long as there is room, and what fits of the state."""
    text, room = Text(), width - cell_len(title) - SHORTEST - 3
    for number, part in enumerate(parts):
        joined = f" · {part}" if number else part
        if number and len(text) + cell_len(joined) > room:
            continue
        text.append(joined, style=_style(part))
    length = max(SHORTEST, min(LONGEST, room + SHORTEST - len(text)))
    line = Table.grid(padding=(0, 1, 0, 0))
    bar = ProgressBar(
        total=None if tally.listing else tally.total,
        completed=tally.done,
        width=length,
        pulse=tally.listing or tally.total is None,
        complete_style="cyan",
        finished_style="green",
    )
    line.add_row(Text(title), bar, text)
    return line


def _style(part: str) -> str:
    if part.endswith(" failed"):
        return "red"
    return "yellow" if part.startswith("rate limit") else ""
