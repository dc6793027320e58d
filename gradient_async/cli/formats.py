"""The four formats. ``jsonl`` and ``csv`` are written as the results come.

``table`` and ``json`` are written at the end, in the order of the Droplet IDs or, where Droplets
were named, in the order in which they were.
"""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs
import msgspec

from .._text import clean
from .columns import Column, Layout, as_csv
from .options import Format
from .output import Output

__all__ = ["STREAMED", "Writer", "encode", "writer_for"]

R = TypeVar("R")
STREAMED: Final = ("jsonl", "csv")


def encode(document: object) -> str:
    """Return one line of JSON: times in ISO 8601, no field left out."""
    return msgspec.json.encode(document).decode()


class Writer(ABC, Generic[R]):
    """Writes results in one of the formats."""

    def __init__(self, output: Output, layout: Layout[R, Any]) -> None:
        self.output = output
        self.layout = layout

    @abstractmethod
    def add(self, result: R) -> None:
        """Take the next result, in whatever order they come."""

    def end(self, order: Sequence[int]) -> None:
        """Write what is not written yet.

        Args:
            order: The Droplet IDs, as the results of those formats are ordered that are not
                streamed.
        """


class _Kept(Writer[R]):
    """Keeps the results until the end."""

    def __init__(self, output: Output, layout: Layout[R, Any]) -> None:
        super().__init__(output, layout)
        self._results: list[R] = []

    def add(self, result: R) -> None:
        self._results.append(result)

    def in_order(self, order: Sequence[int]) -> Sequence[R]:
        place = {droplet_id: number for number, droplet_id in enumerate(order)}
        return sorted(
            self._results, key=lambda result: place.get(self.layout.key(result), len(place))
        )


class TableWriter(_Kept[R]):
    """A table for people."""

    def __init__(self, output: Output, layout: Layout[R, Any]) -> None:
        super().__init__(output, layout)
        from .table import write_table

        self._write = write_table

    def end(self, order: Sequence[int]) -> None:
        """Write the table."""
        results = self.in_order(order)
        rows = [row for shown in self.layout.listed(results) for row in self.layout.rows(shown)]
        heading, chosen = self.layout.heading(results), bool(self.layout.chosen)
        self._write(self.output, self.layout.shown(), rows, heading=heading, chosen=chosen)


class JsonWriter(_Kept[R]):
    """One JSON document."""

    def end(self, order: Sequence[int]) -> None:
        """Write the array, one result to a line, or what the layout has in place of it."""
        write = _writing(self.output)
        results = self.in_order(order)
        if self.layout.whole is not None:
            write(encode(self.layout.whole(results)) + "\n")
            return
        for number, line in enumerate(map(encode, map(self.layout.document, results))):
            write(f"{',' if number else '['}\n{line}")
        write("\n]\n" if results else "[]\n")


class JsonLinesWriter(Writer[R]):
    """One JSON object to a line, as soon as it is there."""

    def add(self, result: R) -> None:
        """Write the line at once."""
        _writing(self.output)(encode(self.layout.document(result)) + "\n")
        self.output.stream.flush()


class CsvWriter(Writer[R]):
    """Comma-separated values with a heading, in UTF-8."""

    def __init__(self, output: Output, layout: Layout[R, Any]) -> None:
        super().__init__(output, layout)
        self._columns: list[Column[Any]] = layout.exported()
        self._write = csv.writer(_CsvLines(_writing(output)), lineterminator="\r\n").writerow
        self._write([column.name for column in self._columns])

    def add(self, result: R) -> None:
        """Write the rows at once."""
        for row in self.layout.rows(result):
            self._write([as_csv(column.value(row)) for column in self._columns])
        self.output.stream.flush()


@attrs.frozen
class _CsvLines:
    r"""Ends rows with ``\n``. The module `csv` is told ``\r\n``, or it would not quote a ``\r``."""

    _write: Callable[[str], object]

    def write(self, row: str) -> None:
        self._write(row.removesuffix("\r\n") + "\n")


def _writing(output: Output) -> Callable[[str], object]:
    """Return what writes text; a terminal gets no control characters but line ends."""
    write = output.stream.write
    if not output.is_terminal:
        return write
    return lambda text: write("\n".join(map(clean, text.split("\n"))))


_WRITERS: Final[dict[str, type[Writer[Any]]]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
}


def writer_for(name: Format, output: Output, layout: Layout[R, Any]) -> Writer[R]:
    """Return the writer of a format."""
    return _WRITERS[name](output, layout)
