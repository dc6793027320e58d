"""The examples in the README and on the pages of the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import MakeInterpreter

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FRAMEWORKS = {"celery", "fastapi", "opentelemetry"}


def has_examples(page: Path) -> bool:
    """Tell whether a page shows anything that could be run."""
    return page.exists() and "```" in page.read_text("utf-8")


@pytest.mark.blocks_loop  # as a cell of a notebook may
@pytest.mark.parametrize(
    ("simulator", "page"),
    [
        pytest.param(page, page, id=str(page.relative_to(ROOT)))
        for page in filter(has_examples, PAGES)
    ],
    indirect=["simulator"],
)
def test_page(page: Path, make_interpreter: MakeInterpreter) -> None:
    """The examples of a page run, one after the other, and show what it says."""
    with make_interpreter() as interpreter:
        for example in interpreter.page(page):
            try:
                example.evaluate()
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] not in FRAMEWORKS:
                    raise
                pytest.skip(f"{error.name} is not installed; `nox -s examples` has it")
