"""Where output goes: to stdout, or to a file that is whole or not there.

A file is written under another name beside its own, ``FILE.partial``, and takes its place when it
is complete. What an interrupted run leaves under that name is never overwritten unasked.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, TextIO

import click

from .problems import READER_GONE, Problem
from .text import clean

__all__ = [
    "PARTIAL",
    "AppendedFile",
    "FileOutput",
    "Output",
    "StandardOutput",
    "open_output",
    "written_to",
]

PARTIAL: Final = ".partial"


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
        """Make what there is last, unless it would replace a whole file; tell where it is."""
        ...

    def abandon(self, *, keep: bool) -> None:
        """Give up after an error; ``keep`` leaves what was written under its partial name."""
        ...


class StandardOutput:
    """Stdout. What it cannot encode is written with a backslash."""

    name = "stdout"

    def __init__(self) -> None:
        self.stream: TextIO = sys.stdout
        if reconfigure := getattr(sys.stdout, "reconfigure", None):
            reconfigure(errors="backslashreplace")

    @property
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return self.stream.isatty()

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
    """A file that takes the place of ``path`` when it is finished.

    Args:
        path: The file to be. A device or a pipe is written to directly.
        replace: Whether there may be such a file already, and a partial one too.
        suffix: What is appended to the name until then.

    Raises:
        Problem: There is such a file, or the directory cannot be written to.
    """

    is_terminal = False

    def __init__(self, path: Path, *, replace: bool = False, suffix: str = PARTIAL) -> None:
        self.name: str = _name(path)
        self._path = Path(os.path.realpath(path))
        self._partial = self._path.with_name(self._path.name + suffix)
        self._old = _status(path)
        self._direct = self._old is not None and not stat.S_ISREG(self._old.st_mode)
        if self._old is not None and not (self._direct or replace):
            raise Problem(f"{self.name} exists; --force replaces it")
        self.stream: TextIO = self._open(replace)

    def _open(self, replace: bool) -> TextIO:
        try:
            if self._direct:
                return _open(self._path, os.O_WRONLY)
            exclusive = os.O_TRUNC if replace else os.O_EXCL
            stream = _open(self._partial, os.O_WRONLY | os.O_CREAT | exclusive)
        except FileExistsError:
            left = _name(self._partial)
            raise Problem(
                f"{left} is there, of a run that was cut off: continue it with --resume {left} if "
                "it is jsonl, or replace it with --force"
            ) from None
        except OSError as error:
            raise Problem(f"cannot write {self.name}: {error.strerror}") from error
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
        """Do as `finish`, except that a file which was there before stays as it was."""
        if self._old is None or self._direct:
            return self.finish()
        self._save()
        return _name(self._partial)

    def _save(self) -> None:
        self.stream.flush()
        if not self._direct:
            os.fsync(self.stream.fileno())
        self.stream.close()

    def abandon(self, *, keep: bool) -> None:
        """Close the partial file and, unless it is to be kept, remove it."""
        with suppress(OSError):
            self.stream.close()
        if not (self._direct or keep):
            self._partial.unlink(missing_ok=True)


class AppendedFile:
    """A file of which every line counts, so that more of them are simply appended."""

    is_terminal = False

    def __init__(self, path: Path) -> None:
        self.name: str = _name(path)
        self.stream: TextIO = _open(path, os.O_WRONLY | os.O_APPEND)

    def finish(self) -> str:
        """Write everything to the disk."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        return self.name

    keep_partial = finish

    def abandon(self, *, keep: bool) -> None:
        """Close the file; what is in it stays."""
        with suppress(OSError):
            self.stream.close()


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Problem(f"cannot write {_name(path)}: {error.strerror}") from error


def _open(path: Path, flags: int) -> TextIO:
    return open(os.open(path, flags, 0o666), "w", encoding="utf-8", newline="")


def _name(path: Path) -> str:
    return clean(str(path))


def open_output(path: Path | None, *, force: bool) -> Output:
    """Open stdout or a file; where somebody can be asked, ask before replacing one.

    Raises:
        Problem: The file cannot be written, or exists and may not be replaced.
    """
    if path is None or str(path) == "-":
        return StandardOutput()
    if not force and path.is_file() and sys.stdin.isatty() and sys.stderr.isatty():
        force = click.confirm(f"{_name(path)} exists. Replace it?", err=True)
        if not force:
            raise Problem(f"{_name(path)} is left as it was")
    return FileOutput(path, replace=force)


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
        raise Problem(f"cannot write {output.name}: {error.strerror}") from error
    except BaseException:
        output.abandon(keep=keep)
        raise
