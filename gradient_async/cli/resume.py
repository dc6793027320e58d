"""An interrupted export is read again, so that only what it lacks has to be asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import attrs
import msgspec

from .options import Destination
from .problems import Problem
from .text import clean

__all__ = ["Finished", "Resumed", "finished_lines", "resumed_file"]


class _Line(msgspec.Struct):
    """As much of a line as has to be known."""

    droplet_id: int
    backups: list[msgspec.Raw]
    error: dict[str, Any] | None


_decode = msgspec.json.Decoder(_Line).decode


@attrs.frozen
class Finished:
    """A line that stays as it is.

    Attributes:
        droplet_id: The Droplet, which need not be asked about again.
        line: The line, without its end.
    """

    droplet_id: int
    line: bytes


def finished_lines(lines: Iterable[bytes], name: str) -> Iterator[Finished]:
    """Give the lines that need not be asked for again.

    A Droplet that failed is left out, to be asked about again; so is the last line if it was cut
    off, and a Droplet that comes again.

    Args:
        lines: The lines of the file, with their ends.
        name: The name of the file, for errors.

    Raises:
        Problem: It is not what ``backups --format jsonl`` writes.
    """
    seen: set[int] = set()
    cut_off = 0
    for number, line in enumerate(lines, 1):
        if cut_off:
            raise _not_an_export(name, cut_off)
        if not line.strip():
            continue
        try:
            read = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if line.endswith(b"\n"):
                raise _not_an_export(name, number) from None
            cut_off = number
            continue
        if read.error is None and read.droplet_id not in seen:
            seen.add(read.droplet_id)
            yield Finished(read.droplet_id, line.rstrip(b"\r\n"))


def _not_an_export(name: str, number: int) -> Problem:
    return Problem(
        f"line {number} of {name} is not what `backups --format jsonl` writes: it cannot be resumed"
    )


@attrs.define
class Resumed:
    """An export that is completed.

    Attributes:
        path: The file.
        droplet_ids: The Droplets that need not be asked about again; known after `copy`.
    """

    path: Path
    droplet_ids: set[int] = attrs.field(factory=set[int])

    def copy(self, stream: TextIO) -> None:
        """Write the lines that stay.

        Raises:
            Problem: The file cannot be read, or is no export.
        """
        name = clean(str(self.path))
        try:
            with self.path.open("rb") as lines:
                for finished in finished_lines(lines, name):
                    self.droplet_ids.add(finished.droplet_id)
                    stream.write(finished.line.decode("utf-8", "backslashreplace") + "\n")
        except OSError as error:
            raise Problem(f"cannot read {name}: {error.strerror}") from error


def resumed_file(name: str, destination: Destination) -> tuple[Resumed, Destination]:
    """Tell what is read and where the whole is written: to the same file, or to ``--output``.

    Raises:
        Problem: There is no such file, or another format than jsonl was asked for.
    """
    path = Path(name)
    if destination.format not in (None, "jsonl"):
        raise Problem(f"--resume writes jsonl: it cannot be had with --format {destination.format}")
    if not path.is_file():
        raise Problem(f"cannot resume {clean(name)}: there is no such file")
    if destination.path is None:
        destination = attrs.evolve(destination, path=path, force=True)
    return Resumed(path), attrs.evolve(destination, format="jsonl")
