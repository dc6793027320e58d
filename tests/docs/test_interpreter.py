"""What runs the examples notices when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from sybil.example import SybilFailure

from .conftest import MakeInterpreter
from .interpreter import HAS_SHELL

CLIENT = "from gradient_async import AsyncGradient\nclient = AsyncGradient()\n"
pytestmark = pytest.mark.skipif(not HAS_SHELL, reason="the commands are for a POSIX shell")

TRACEBACK = "Traceback (most recent call last):\n..."
A_TEST = ":caption: test_it.py\n\ndef test_it():\n"


def run_page(page: str, make_interpreter: MakeInterpreter, tmp_path: Path) -> None:
    """Run the examples of a page."""
    path = tmp_path / "page.md"
    path.write_text(page, "utf-8")
    with make_interpreter() as interpreter:
        for example in interpreter.page(path):
            example.evaluate()


def block(language: str, source: str) -> str:
    """Give a block of a page."""
    return f"```{language}\n{source}\n```\n\n"


@pytest.mark.parametrize(
    "page",
    [
        block("python", CLIENT + "page = await client.gpu_droplets.backups.list(3164444)"),
        block("python", CLIENT) + block("python", ">>> client.max_retries\n2"),
        block("python", "print(1)\nprint(2)") + block("text", "1\n2"),
        block("python", f">>> int('x')\n{TRACEBACK}\nValueError: ..."),
        block("console", "$ gradient-async supported-policies\nplan ...\n...daily..."),
        block("{code-block} python", ":class: not-run\n\nimport nothing_of_ours"),
        block("{code-block} python", f"{A_TEST}    pass"),
        "% invisible-code-block: python\n%\n% number = 1\n\n" + block("python", "number + 1"),
    ],
)
def test_what_is_right_passes(page: str, make_interpreter: MakeInterpreter, tmp_path: Path) -> None:
    """Every kind of example that the pages have runs."""
    run_page(page, make_interpreter, tmp_path)


@pytest.mark.parametrize(
    ("page", "error"),
    [
        (block("python", CLIENT + "await client.gpu_droplets.backups.lst(1)"), AttributeError),
        (block("python", CLIENT + "async with client:\n    unknown"), NameError),
        (block("python", CLIENT) + block("python", ">>> client.max_retries\n3"), SybilFailure),
        (block("python", "print(1)") + block("text", "2"), SybilFailure),
        (block("python", f">>> int('x')\n{TRACEBACK}\nKeyError: ..."), SybilFailure),
        (block("console", "$ gradient-async supported-policies\nmonthly"), SybilFailure),
        (block("console", "$ gradient-async backup"), AssertionError),
        (block("console", "gradient-async backups --unknown"), AssertionError),
        (block("console", "a-command-that-is-not-there"), AssertionError),
        (block("{code-block} python", f"{A_TEST}    assert 0"), AssertionError),
    ],
)
def test_what_is_wrong_fails(
    page: str, error: type[Exception], make_interpreter: MakeInterpreter, tmp_path: Path
) -> None:
    """A name, an option or an output that is not what it was makes the page's test fail."""
    with pytest.raises(error):
        run_page(page, make_interpreter, tmp_path)
