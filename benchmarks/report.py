"""The tables as Markdown, JSON and a plot."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tabulate import tabulate

from .tables import Goal, Table

PACKAGES = ("aiohttp", "msgspec", "cattrs", "asgiref", "gradient", "httpx", "pydo", "requests")
OURS_COLOUR, THEIRS_COLOUR = "#0069ff", "#b8c1cc"
TIMES = "\N{MULTIPLICATION SIGN}"


def number(value: float) -> str:
    """Give a figure with three digits that count."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def markdown(tables: Sequence[Table], *, quick: bool) -> str:
    """Give all tables, the goals first."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    parts = [
        "<!-- Written by `nox -s bench`. Do not edit. -->",
        f"{platform.python_implementation()} {platform.python_version()}, {packages}. "
        f"Medians{' of a quick run' if quick else ''}; compare the ratios, not the figures. "
        f"The ratios ({TIMES}) are those of the first column. They are medians over the rounds, so "
        "they need not be the quotients of the medians shown.",
        *_goals([goal for table in tables for goal in table.goals]),
        *(text for table in tables for text in _section(table)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _goals(goals: Sequence[Goal]) -> Iterable[str]:
    if goals:
        rows = [(goal.text, number(goal.value), _bound(goal), _verdict(goal)) for goal in goals]
        yield "## Goals"
        yield _grid(rows, ("", "measured", "goal", ""))


def _bound(goal: Goal) -> str:
    return f"{'≥' if goal.at_least else '≤'} {number(goal.bound)}"


def _verdict(goal: Goal) -> str:
    return "met" if goal.met else "**missed**"


def _section(table: Table) -> Iterable[str]:
    yield f"## {table.title}"
    yield table.note
    heads = ["", *(column.title for column in table.columns)]
    rows = []
    for side in table.sides:
        row = [side, *(number(column.median(side)) for column in table.columns)]
        if table.base is not None:
            row.append(f"{table.columns[0].ratio(side, table.base):.2f}")
        rows.append(row)
    if table.base is not None:
        heads.append(f"{TIMES} {table.base}")
    yield _grid(rows, heads)


def _grid(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    alignment = ["left"] + ["right"] * (len(heads) - 1)
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True, colalign=alignment)


def as_json(tables: Sequence[Table]) -> str:
    """Give every sample of every round."""
    return json.dumps([attrs.asdict(table) for table in tables], indent=1) + "\n"


def plot(tables: Sequence[Table], path: Path) -> None:
    """Draw the first column of each table that compares sides."""
    shown = [table for table in tables if table.base is not None]
    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # the same figures give the same file
    heights = [len(table.sides) + 1.5 for table in shown]
    figure = Figure(figsize=(9, 0.3 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(shown), height_ratios=heights, squeeze=False)[:, 0]
    for ax, table in zip(axes, shown, strict=True):
        _bars(ax, table)
    figure.savefig(path, metadata={"Date": None})


def _bars(ax: Axes, table: Table) -> None:
    column = table.columns[0]
    values = [column.median(side) for side in table.sides]
    labels = [side.replace("`", "") for side in table.sides]
    ours = [("gradient_async" in label or "list_many" in label) for label in labels]
    bars = ax.barh(labels, values, color=[OURS_COLOUR if own else THEIRS_COLOUR for own in ours])
    ax.bar_label(
        bars, [f"{number(value)} {column.title.split()[-1]}" for value in values], padding=3
    )
    ax.invert_yaxis()
    ax.set_title(table.title.replace("`", ""), loc="left", fontsize=10, fontweight="bold")
    ax.margins(x=0.15)
    ax.xaxis.set_visible(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(left=False, labelsize=9)
