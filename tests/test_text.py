"""Text of others, as it is shown."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradient_async._text import clean, one_line


@given(st.text())
@example("\udc80")
def test_cleaned_text_can_be_printed(given_text: str) -> None:
    """Cleaned text is printable and valid UTF-8, and printable text is not changed."""
    cleaned = clean(given_text)
    assert cleaned.isprintable()
    cleaned.encode("utf-8")
    assert not given_text.isprintable() or cleaned == given_text


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line(given_text: str, most: int) -> None:
    """Whatever the text, one line comes of it, and says where it was cut."""
    line = one_line(given_text, most)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
    assert line.endswith("...") or len(given_text) <= most


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("It is so.", "It is so."),
        ("line 1\r\n  line 2\n", "line 1 line 2"),
        ("a\x1b[2Jb\u00e9\u202e", "a\\x1b[2Jb\u00e9\\u202e"),
        ("x" * 1000, "x" * 1000),
        ("x" * 1001, "x" * 1000 + "..."),
    ],
)
def test_one_line(text: str, line: str) -> None:
    """White space of any kind is a space, what steers a terminal is written out."""
    assert one_line(text) == line
