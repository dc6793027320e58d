"""Columns of tables and CSV files, and how their values are written. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, cast

import attrs

from .._text import clean
from ..audit.times import iso_time, whole_seconds
from .problems import Problem
from .text import day_and_time, short_duration

__all__ = ["Column", "Layout", "as_csv", "as_text"]

R = TypeVar("R")
Row = TypeVar("Row")


def _plain(_: str) -> None:
    """Give no colour."""


def _all(results: Sequence[R]) -> Sequence[R]:
    return results


def _none(_: Sequence[R]) -> tuple[str, ...]:
    return ()


@attrs.frozen
class Column(Generic[Row]):
    """One column.

    Attributes:
        name: Its name in CSV files and for ``--columns``.
        value: Gets its value from a row.
        title: Its name in tables, ``name`` by default.
        shown: Whether tables have it unless ``--columns`` says otherwise.
        exported: Whether CSV files have it unless ``--columns`` says otherwise.
        right: Whether it is aligned to the right.
        style: Gives the colour of a text in tables, ``None`` for the usual one.
        min_width: The characters to which a table too wide for the terminal may cut it, 0 for none.
        essential: Whether such a table leaves out other columns before this one.
    """

    name: str
    value: Callable[[Row], Any]
    title: str = ""
    shown: bool = True
    exported: bool = True
    right: bool = False
    style: Callable[[str], str | None] = _plain
    min_width: int = 0
    essential: bool = False

    @property
    def heading(self) -> str:
        """The name in tables."""
        return self.title or self.name.replace("_", " ")


@attrs.frozen
class Layout(Generic[R, Row]):
    """How the results of a command are written.

    Attributes:
        columns: All columns that there are, in their order.
        rows: Gives the rows of a result.
        document: Gives what is encoded as JSON for a result.
        key: Gives the Droplet ID of a result, by which tables and JSON arrays are ordered.
        chosen: The names of ``--columns``; none for the usual ones.
        listed: Gives those results that tables have, in their order; all by default.
        whole: Gives what is encoded as JSON for all results; an array of them by default.
        heading: Gives the lines above a table.
    """

    columns: tuple[Column[Row], ...]
    rows: Callable[[R], Iterable[Row]]
    document: Callable[[R], object]
    key: Callable[[R], int]
    chosen: tuple[str, ...] = ()
    listed: Callable[[Sequence[R]], Sequence[R]] = _all
    whole: Callable[[Sequence[R]], object] | None = None
    heading: Callable[[Sequence[R]], Iterable[str]] = _none

    def choose(self, names: Sequence[str]) -> Layout[R, Row]:
        """Return the layout with these columns in this order.

        Raises:
            Problem: There is no such column.
        """
        known = [column.name for column in self.columns]
        for name in names:
            if name not in known:
                raise Problem(f"no column {name!r}: there are {', '.join(known)}")
        return attrs.evolve(self, chosen=tuple(names))

    def shown(self) -> list[Column[Row]]:
        """Return the columns of tables."""
        return self._chosen() or [column for column in self.columns if column.shown]

    def exported(self) -> list[Column[Row]]:
        """Return the columns of CSV files."""
        return self._chosen() or [column for column in self.columns if column.exported]

    def _chosen(self) -> list[Column[Row]]:
        by_name = {column.name: column for column in self.columns}
        return [by_name[name] for name in self.chosen]


def as_text(value: object) -> str:
    """Return a value as a person reads it in a table.

    Example:
        >>> as_text(None), as_text(True), as_text(0), as_text(["tor1", "nyc2"])
        ('', 'yes', '0', 'tor1 nyc2')
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return day_and_time(value)
        case timedelta():
            return short_duration(value)
        case float():
            return f"{value:,.2f}"
        case list():
            return " ".join(clean(str(item)) for item in cast(list[object], value))
        case _:
            return clean(str(value))


def as_csv(value: object) -> str:
    """Return a value as a program reads it: times in ISO 8601 and UTC, spans in whole seconds.

    Example:
        >>> as_csv(None), as_csv(False), as_csv(0), as_csv(timedelta(minutes=1))
        ('', 'false', '0', '60')
    """
    match value:
        case None | datetime():
            return iso_time(value) or ""
        case bool():
            return str(value).lower()
        case timedelta():
            return str(whole_seconds(value))
        case list():
            return " ".join(map(str, cast(list[object], value)))
        case _:
            return str(value)
