"""The contributing guide's way to add an endpoint, taken on a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contributing.md"
NEW_FILE = re.compile(r"(?ms)^```\{code-block\} python\n:caption: (\S+)\n.*?\n\n(.*?)^```$")
CHANGE = re.compile(r"(?ms)^```diff\n(.*?)^```$")
LOOK = """
from gradient_async import Gradient
raw = Gradient("token").gpu_droplets.with_raw_response
print(raw.list_snapshots.__doc__.splitlines()[0])
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What of the project the steps are about."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "gradient_async", tmp_path / "gradient_async", ignore=ignored)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def run(copy: Path, *command: str, given: str | None = None) -> str:
    """Run a command in the copy, with the package of the copy."""
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    environment.pop("COVERAGE_PROCESS_CONFIG", None)
    done = subprocess.run(
        command,
        cwd=copy,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no `patch` to take the steps")
def test_an_endpoint_is_added_in_four_steps(copy: Path) -> None:
    """The steps of the guide, and generation, make a method of both clients that works."""
    page = PAGE.read_text("utf-8")
    for name, source in NEW_FILE.findall(page):
        (copy / name).write_text(source, "utf-8")
    run(copy, "patch", "-p1", "--batch", given="".join(CHANGE.findall(page)))
    run(copy, sys.executable, "-m", "gradient_async._generate")
    run(copy, sys.executable, "-m", "gradient_async._generate", "--check")
    tested = run(copy, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert "2 passed" in tested
    assert "snapshots of a Droplet" in run(copy, sys.executable, "-c", LOOK)
