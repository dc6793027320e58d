"""The pictures of the terminal, and what else the README leads to."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import loaded

ROOT = Path(__file__).parents[2]
RECORDER = ROOT / "docs" / "record_terminal.py"
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not RECORDER.exists(), reason="the documentation is not here")


@pytest.fixture(scope="module")
def recorder() -> Any:
    """What records them; it needs a terminal."""
    pytest.importorskip("pty", exc_type=ImportError)
    return loaded(RECORDER)


def words_in(picture: Path) -> set[str]:
    """Give the words that a picture shows."""
    return set(html.unescape(re.sub(r"<[^>]*>", " ", picture.read_text("utf-8"))).split())


@pytest.mark.parametrize("name", ["backups", "audit"])
def test_a_picture_shows_what_the_command_shows(recorder: Any, name: str) -> None:
    """The head of its table is that of the command; if not, the picture is to be recorded anew."""
    lines = recorder.shown_by(recorder.PICTURES[name])
    [head] = [line for line in lines if line.startswith("droplet ")]
    assert set(head.split()) <= words_in(RECORDER.parent / "_static" / f"{name}.svg")


def test_a_picture_needs_nothing_from_elsewhere(recorder: Any) -> None:
    """It names no font and no image of another server."""
    for name in recorder.PICTURES:
        picture = (RECORDER.parent / "_static" / f"{name}.svg").read_text("utf-8")
        assert not re.search(r"url\(\W*http|href=\W*http|@import|@font-face", picture)


def test_links_of_the_readme_lead_somewhere() -> None:
    """Each path that the README links to is a file of the project."""
    paths = re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text("utf-8"))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
