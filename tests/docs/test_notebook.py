"""The page about notebooks, in a notebook."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.myst import CodeBlockParser

from .conftest import MakeInterpreter

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "notebooks.md"
EXECUTE = "from nbclient.cli import main; main()"


def notebook_of(page: Path) -> dict[str, object]:
    """Give a notebook whose cells are the examples of a page."""
    document = Document.parse(str(page), CodeBlockParser("python", lambda _: None))
    code: dict[str, object] = {
        "cell_type": "code",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
    }
    cells = [
        {**code, "id": f"cell-{number}", "source": example.parsed}
        for number, example in enumerate(document.examples())
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not here")
@pytest.mark.skipif(
    not (find_spec("nbclient") and find_spec("ipykernel")),
    reason="Jupyter is not installed; `nox -s examples` has it",
)
def test_cells_run_in_jupyter(
    make_interpreter: MakeInterpreter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each example is a cell that runs, the one that blocks in spite of the notebook's loop too."""
    with make_interpreter():
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            monkeypatch.setenv(name, str(tmp_path / "jupyter"))
        (tmp_path / "page.ipynb").write_text(json.dumps(notebook_of(PAGE)), "utf-8")
        command = [sys.executable, "-c", EXECUTE, "page.ipynb", "--output", "done.ipynb"]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert run.returncode == 0, run.stderr
    outputs = json.loads((tmp_path / "done.ipynb").read_text("utf-8"))["cells"]
    texts = [output["text"] for cell in outputs for output in cell["outputs"] if "text" in output]
    assert texts == [["4\n"], ["4\n"]]
