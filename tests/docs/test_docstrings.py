"""The examples in docstrings."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sybil.document import PythonDocStringDocument

import gradient_async
from gradient_async import AsyncGradient, Gradient

from .conftest import MakeInterpreter

PACKAGE = Path(gradient_async.__file__).parent


def docstrings_with_examples() -> Iterator[Any]:
    """Find them in the whole package, each under the line that it begins at."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text("utf-8")
        for start, _, text in PythonDocStringDocument.extract_docstrings(source):
            if ">>>" in text:
                line = source.count("\n", 0, start) + 1
                yield pytest.param(path, text, id=f"{path.relative_to(PACKAGE)}:{line}")


def names_of(path: Path) -> dict[str, Any]:
    """Give what the examples of a module can name: what the module can, and both clients."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    clients = {"AsyncGradient": AsyncGradient, "Gradient": Gradient}
    return {**vars(import_module(".".join(parts).removesuffix(".__init__"))), **clients}


@pytest.mark.parametrize(("path", "text"), [*docstrings_with_examples()])
def test_docstring(path: Path, text: str, make_interpreter: MakeInterpreter) -> None:
    """The examples of a docstring run, and show what it says; `client` is one of its kind."""
    is_blocking = "sync" in path.relative_to(PACKAGE).parts or path.stem.endswith("_blocking")
    client = Gradient() if is_blocking else AsyncGradient()
    with make_interpreter(**names_of(path), client=client) as interpreter:
        for example in interpreter.docstring(text, path):
            example.evaluate()
    if isinstance(client, Gradient):
        client.close()
