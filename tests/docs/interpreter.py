"""Runs examples of the documentation: Python, with ``await`` at its top level, and commands.

Sybil finds the examples. A ``python`` block is run; one that begins with ``>>>`` is compared with
what it shows, and so is a ``text`` block with what the block before it printed. A block with a
caption is a file, and a test file is also run by pytest; one of the class ``not-run`` shows what
others do. Of a ``console`` block each command is
run, unless it is one of `NOT_RUN`, and its output compared if any is shown; ``...`` stands for
whatever there is.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import io
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sybil import Document, Example, Region
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.myst import CodeBlockParser

NOT_RUN: Final = (
    "export ",
    "git ",
    "gradient-async simulate",
    "nox",
    "pip ",
    "pre-commit ",
    "python3 -m pip ",
)
"""Commands that install, that work on a checkout, or that only set up
the reader's shell or serve until they are stopped."""

HAS_SHELL: Final = os.name != "nt"
LONGEST: Final = 4000
FLAGS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
CHECKER: Final = doctest.OutputChecker()


class Interpreter:
    """Runs the examples of one page or docstring, one after the other, in one namespace.

    Args:
        namespace: What the examples can name from the start.
        directory: Where files are written and commands are run.
    """

    def __init__(self, namespace: Mapping[str, Any], directory: Path) -> None:
        self.namespace: dict[str, Any] = {"__name__": "example", **namespace}
        self._directory = directory
        self._runner = asyncio.Runner()
        self._printed = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._runner.close()

    def page(self, path: Path) -> Document:
        """Find the examples of a page."""
        languages = {"python": self.block, "text": self.output, "console": self.console}
        parsers = [CodeBlockParser(name, evaluator) for name, evaluator in languages.items()]
        document = Document.parse(str(path), *(self._with_doctests(parser) for parser in parsers))
        document.namespace = self.namespace
        return document

    def docstring(self, text: str, path: Path) -> Document:
        """Find the examples of a docstring."""
        document = Document(text, str(path))
        for region in DocTestStringParser(self.prompts)(text, str(path)):  # type: ignore[arg-type]
            document.add(region)
        document.namespace = self.namespace
        return document

    def _with_doctests(self, parser: CodeBlockParser) -> Any:
        prompts = DocTestStringParser(self.prompts)  # type: ignore[arg-type]

        def parse(document: Document) -> Iterable[Region]:
            for region in parser(document):
                if region.parsed.startswith(">>>"):
                    for part in prompts(region.parsed, document.path):
                        part.adjust(region, region.parsed)
                        yield part
                else:
                    yield region

        return parse

    def block(self, example: Example) -> None:
        """Run a block of Python, or write it to the file that its caption names."""
        options = (example.region.lexemes or {}).get("options") or {}
        if options.get("class") == "not-run":
            return
        if "caption" in options:
            self._write(options["caption"], example.parsed)
            return
        source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
        self._printed = self._run(source, example.path, "exec")

    def prompts(self, example: Example) -> str:
        """Run what follows one ``>>>``, and tell how its output differs from what is shown."""
        shown: doctest.Example = example.parsed
        try:
            printed = self._run(shown.source, example.path, "single")
        except Exception as error:
            if shown.exc_msg is None:
                raise
            return difference(shown.exc_msg, f"{type(error).__name__}: {error}")
        return difference(shown.want, printed)

    def output(self, example: Example) -> str:
        """Compare a block of text with what the block before it printed."""
        return difference(example.parsed, self._printed)

    def console(self, example: Example) -> str:
        """Run the commands of a block, and compare what they print if anything is shown."""
        for command, shown in transcript(example.parsed) if HAS_SHELL else ():
            printed = "".join(self._command("bash", "-c", part) for part in parts_to_run(command))
            if shown and (wrong := difference(shown, printed)):
                return wrong
        return ""

    def _run(self, source: str, path: str, mode: str) -> str:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, path, mode, flags=flags, dont_inherit=True)
        printed = io.StringIO()
        with redirect_stdout(printed):
            result = eval(code, self.namespace)
            if code.co_flags & inspect.CO_COROUTINE:
                self._runner.run(result)
        return printed.getvalue()

    def _write(self, name: str, source: str) -> None:
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
        if path.name.startswith("test_"):
            self._command(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name)

    def _command(self, *command: str) -> str:
        scripts = sysconfig.get_path("scripts")
        done = subprocess.run(
            command,
            cwd=self._directory,
            env={**os.environ, "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=50,
            check=False,
        )
        may_find = " audit" in command[-1]
        assert done.returncode == 0 or (done.returncode == 1 and may_find), (
            f"{command[-1]}\n{done.stdout}"
        )
        return done.stdout


def difference(shown: str, printed: str) -> str:
    """Tell how an output differs from what is shown; empty when it does not."""
    example = doctest.Example("", shown)
    if CHECKER.check_output(example.want, printed, FLAGS):
        return ""
    return CHECKER.output_difference(example, printed[:LONGEST], FLAGS)


def transcript(block: str) -> Iterator[tuple[str, str]]:
    """Give each command of a console block with its output; without ``$``, each line is one."""
    lines = block.replace("\\\n", " ").splitlines()
    if not any(line.startswith("$ ") for line in lines):
        yield from ((line.partition(" #")[0], "") for line in lines if line.strip())
        return
    command, shown = "", list[str]()
    for line in lines:
        if line.startswith("$ "):
            if command:
                yield command, "\n".join(shown)
            command, shown = line[2:], []
        else:
            shown.append(line)
    yield command, "\n".join(shown).strip("\n")


def parts_to_run(command: str) -> list[str]:
    """Give those parts of a command that can be run here."""
    return [part for part in command.split(" && ") if not part.strip().startswith(NOT_RUN)]
