"""Where output goes: to stdout, or to a file that is whole or not there.

A file is written under another name beside its own, ``FILE.partial``, and takes its place when it
is complete. What a run that ended early leaves under that name is never overwritten unasked.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, Protocol, TextIO, TypeAlias

import click

from .._text import clean
from .problems import READER_GONE, Problem
from .terminal import is_terminal

__all__ = [
    "PARTIAL",
    "FileOutput",
    "Opening",
    "Output",
    "StandardOutput",
    "may_replace",
    "open_output",
    "partial_of",
    "written_to",
]

PARTIAL: Final = ".partial"
Opening: TypeAlias = Literal["create", "overwrite", "append"]
FLAGS: Final[dict[Opening, int]] = {
    "create": os.O_CREAT | os.O_EXCL,
    "overwrite": os.O_CREAT | os.O_TRUNC,
    "append": os.O_APPEND,
}


class Output(Protocol):
    """Takes text; at the end one of `finish`, `keep_partial` and `abandon` is called."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    @property
    def stream(self) -> TextIO:
        """What the text is written to."""
        ...

    @property
    def is_terminal(self) -> bool:
        """Whether a person is looking."""
        ...

    def finish(self) -> str:
        """Make everything last, and tell where it is; empty for stdout."""
        ...

    def keep_partial(self) -> str:
        """Make what there is last, under its partial name; tell where it is."""
        ...

    def abandon(self, *, keep: bool) -> None:
        """Give up after an error; ``keep`` leaves what was written under its partial name."""
        ...


class StandardOutput:
    """Stdout. What it cannot encode is written with a backslash.

    Raises:
        Problem: It was closed before the command began.
    """

    name = "stdout"

    def __init__(self) -> None:
        stream: TextIO | None = sys.stdout
        if stream is None:
            raise Problem("cannot write to stdout: it is closed; --output names a file")
        self.stream: TextIO = stream
        if reconfigure := getattr(sys.stdout, "reconfigure", None):
            reconfigure(errors="backslashreplace")

    @property
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return is_terminal(self.stream)

    def finish(self) -> str:
        """Flush, so that a full disk is noticed here."""
        self.stream.flush()
        return ""

    keep_partial = finish

    def abandon(self, *, keep: bool) -> None:
        """Have the interpreter not try, at its exit, to write once more what cannot be written."""
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


class FileOutput:
    """A file that is ``path`` when it is finished, and ``path.partial`` until then.

    Args:
        path: The file to be. A device or a pipe is written to directly.
        replace: Whether there may be such a file already.
        partial: How the partial file is opened: ``"create"`` for one that must not be there yet,
            ``"overwrite"`` whatever there is, ``"append"`` to one that was begun before.
        suffix: What is appended to the name until then.

    Raises:
        Problem: There is such a file, or the directory cannot be written to.
    """

    is_terminal = False

    def __init__(
        self,
        path: Path,
        *,
        replace: bool = False,
        partial: Opening = "create",
        suffix: str = PARTIAL,
    ) -> None:
        self.name: str = _name(path)
        self._path = _target(path)
        self._partial = partial_of(path, suffix)
        self._old = _status(path)
        self._direct = self._old is not None and not stat.S_ISREG(self._old.st_mode)
        self._opening: Opening = partial
        if self._old is not None and not (self._direct or replace):
            raise Problem(f"{self.name} exists; --force replaces it")
        self.stream: TextIO = self._open()

    def _open(self) -> TextIO:
        try:
            if self._direct:
                return _open(self._path)
            stream = _open(self._partial, FLAGS[self._opening])
        except FileExistsError:
            left = _name(self._partial)
            raise Problem(
                f"{left} is there, of a run that was cut off: `backups --resume {left}` continues "
                "it if that wrote it as jsonl, --force replaces it"
            ) from None
        except OSError as error:
            raise Problem(f"cannot write to {self.name}: {error.strerror}") from error
        if self._old is not None:
            self._partial.chmod(stat.S_IMODE(self._old.st_mode))
        return stream

    def finish(self) -> str:
        """Write everything to the disk and put the file in its place."""
        self._save()
        if not self._direct:
            self._partial.replace(self._path)
        return self.name

    def keep_partial(self) -> str:
        """Write everything to the disk; the file keeps its partial name."""
        self._save()
        return self.name if self._direct else _name(self._partial)

    def _save(self) -> None:
        self.stream.flush()
        if not self._direct:
            os.fsync(self.stream.fileno())
        self.stream.close()

    def abandon(self, *, keep: bool) -> None:
        """Close the partial file and, unless it is to be kept or was there before, remove it."""
        with suppress(OSError):
            self.stream.close()
        if not (self._direct or self._opening == "append" or keep):
            self._partial.unlink(missing_ok=True)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Problem(f"cannot write to {_name(path)}: {error.strerror}") from error


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def partial_of(path: Path, suffix: str = PARTIAL) -> Path:
    """Return the name under which a file is written: beside the file itself, not a link to it."""
    return Path(f"{_target(path)}{suffix}")


def _open(path: Path, flags: int = 0) -> TextIO:
    return open(os.open(path, os.O_WRONLY | flags, 0o666), "w", encoding="utf-8", newline="")


def _name(path: Path) -> str:
    return clean(str(path))


def open_output(path: Path | None, *, force: bool) -> Output:
    """Open stdout or a file.

    Raises:
        Problem: The file cannot be written, or exists and may not be replaced.
    """
    if path is None or str(path) == "-":
        return StandardOutput()
    replace = force or may_replace(path)
    return FileOutput(path, replace=replace, partial="overwrite" if force else "create")


def may_replace(path: Path) -> bool:
    """Ask whether a file may be replaced, if there is one and somebody who can be asked.

    Raises:
        Problem: It may not.
    """
    if not (path.is_file() and is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        return False
    if not click.confirm(f"{_name(path)} exists. Replace it?", err=True):
        raise Problem(f"{_name(path)} is left as it was")
    return True


@contextmanager
def written_to(output: Output, *, keep: bool) -> Iterator[None]:
    """Give up the output when the block fails, and tell a full disk in a line.

    Args:
        output: What the block writes to.
        keep: Whether a part of it is of use.

    Raises:
        Problem: It could not be written.
        click.exceptions.Exit: The reader of a pipe went away, as ``head`` does.
    """
    try:
        yield
    except OSError as error:
        output.abandon(keep=keep)
        if isinstance(error, BrokenPipeError):
            raise click.exceptions.Exit(READER_GONE) from None
        raise Problem(f"cannot write to {output.name}: {error.strerror}") from error
    except BaseException:
        output.abandon(keep=keep)
        raise
