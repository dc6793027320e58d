"""An interrupted export is read again, so that only what it lacks has to be asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs
import msgspec

from .._text import clean
from .options import Destination
from .output import (
    PARTIAL,
    FileOutput,
    Opening,
    Output,
    may_replace,
    open_output,
    partial_of,
    written_to,
)
from .problems import Problem

__all__ = ["Finished", "Resumed", "finished_lines", "how_to_resume"]

TIDIED: Final = ".tidied"


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
    """Return the lines that need not be asked for again.

    A Droplet that failed is left out, to be asked about again; so is the last line if it was cut
    off, and a Droplet that comes again.

    Args:
        lines: The lines of the file, with their ends.
        name: The name of the file, for errors.

    Raises:
        Problem: It is not what ``backups --format jsonl`` writes.
    """
    seen: set[int] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        read = _read(line)
        if read is None and line.endswith(b"\n"):
            raise Problem(
                f"line {number} of {name} is not what `backups --format jsonl` writes, so it "
                "cannot be resumed"
            )
        if read is not None and read.error is None and read.droplet_id not in seen:
            seen.add(read.droplet_id)
            yield Finished(read.droplet_id, line.rstrip(b"\r\n"))


def _read(line: bytes) -> _Line | None:
    try:
        return _decode(line.decode())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def how_to_resume(path: Path, output: Path | None = None) -> list[str]:
    """Return the options that complete an export, in another file if one is named."""
    target = _target(path, output)
    other = [] if output is None else ["--output", str(output)]
    force = ["--force"] if target != path and target.exists() else []
    return ["--resume", str(path), *other, *force]


def _target(path: Path, output: Path | None) -> Path:
    return Path(str(path).removesuffix(PARTIAL)) if output is None else output


@attrs.frozen
class Resumed:
    """An export that is completed, under its proper name unless another file is named.

    Attributes:
        path: The file.
        droplet_ids: The Droplets that need not be asked about again; known after `open`.
    """

    path: Path
    droplet_ids: set[int] = attrs.field(factory=set[int])

    @classmethod
    def named(cls, name: str, destination: Destination) -> Resumed:
        """Find the file.

        Raises:
            Problem: There is no such file, or another format than jsonl was asked for.
        """
        path = Path(name)
        if destination.format not in (None, "jsonl"):
            raise Problem(f"--resume writes jsonl, so --format {destination.format} cannot be had")
        if destination.columns:
            raise Problem("--columns is for table and csv, and --resume writes jsonl")
        if not path.is_file():
            raise Problem(f"cannot resume {clean(name)}: there is no such file")
        return cls(path)

    def open(self, destination: Destination) -> Output:
        """Return an output that has the finished lines and takes more.

        It is the partial file until it is complete. If that is the file which is resumed, it is
        replaced by its finished lines in one step and then appended to, so at no moment has it less
        than it had. The file that is resumed may be replaced at the end; any other may if forced.

        Raises:
            Problem: A file cannot be read or written, or is no export.
        """
        target, force = _target(self.path, destination.path), destination.force
        if _same(partial_of(target), self.path):
            replace = force or may_replace(target)
            tidied = FileOutput(self.path, replace=True, partial="overwrite", suffix=TIDIED)
            self._copy(tidied)
            tidied.finish()
            return FileOutput(target, replace=replace, partial="append")
        if _same(target, self.path):
            partial: Opening = "overwrite" if force else "create"
            output: Output = FileOutput(target, replace=True, partial=partial)
        else:
            output = open_output(target, force=force)
        self._copy(output)
        return output

    def _copy(self, output: Output) -> None:
        name = clean(str(self.path))
        with written_to(output, keep=False), _reading(self.path, name) as lines:
            for finished in finished_lines(lines, name):
                self.droplet_ids.add(finished.droplet_id)
                output.stream.write(finished.line.decode() + "\n")


def _same(path: Path, other: Path) -> bool:
    return path.exists() and path.samefile(other)


def _reading(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise Problem(f"cannot read {name}: {error.strerror}") from error
