"""The script of the page about cron, with a `mail` that keeps what it is given."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.myst import CodeBlockParser

from gradient_async.testing import Simulator

from .conftest import MakeInterpreter
from .interpreter import HAS_SHELL

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "cron.md"
MAIL = '#!/bin/sh\n{ echo "$2"; cat; } > mailed.txt\n'

pytestmark = [
    pytest.mark.skipif(not PAGE.exists(), reason="the pages are not here"),
    pytest.mark.skipif(not HAS_SHELL, reason="the script is for a POSIX shell"),
]


@pytest.fixture
def directory(simulator: Simulator, make_interpreter: MakeInterpreter, tmp_path: Path) -> Path:
    """Where the script runs: with the token, and with what it left there the night before."""
    document = Document.parse(str(PAGE), CodeBlockParser("sh", lambda _: None))
    [script] = [example.parsed for example in document.examples()]
    (tmp_path / "audit-backups.sh").write_text(script, "utf-8")
    (tmp_path / "token").write_text(simulator.token, "utf-8")
    (tmp_path / "audit.txt").write_text("last night's", "utf-8")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mail").write_text(MAIL, "utf-8")
    (tmp_path / "bin" / "mail").chmod(0o755)
    make_interpreter()  # which has commands ask the simulator
    return tmp_path


def mailed_by_script(directory: Path) -> str | None:
    """Run the script, and give the subject and the text of its mail, ``None`` without one."""
    places = [str(directory / "bin"), sysconfig.get_path("scripts"), os.environ["PATH"]]
    environment = {**os.environ, "PATH": os.pathsep.join(places)}
    command = ["sh", "audit-backups.sh"]
    subprocess.run(command, cwd=directory, env=environment, timeout=50, check=True)
    mail = directory / "mailed.txt"
    return mail.read_text("utf-8") if mail.exists() else None


def test_findings_are_mailed(directory: Path) -> None:
    """The cron job of the guide mails findings, with the Droplet that has no backup."""
    mail = mailed_by_script(directory)
    assert mail is not None
    assert mail.startswith("backups: findings\n")
    assert "3164445" in mail
    assert "last night's" not in mail


def test_nothing_is_mailed_without_findings(simulator: Simulator, directory: Path) -> None:
    """The cron job of the guide mails nothing when the audit has no findings."""
    simulator.fleet.add_backup(3164445)
    assert mailed_by_script(directory) is None


@pytest.mark.parametrize(
    ("broken", "reason"), [("GRADIENT_BASE_URL", "failed"), ("token", "401"), (None, "token")]
)
def test_why_the_audit_failed_is_mailed(
    directory: Path, monkeypatch: pytest.MonkeyPatch, broken: str | None, reason: str
) -> None:
    """The cron job of the guide mails why an audit failed, never the findings of the last one."""
    if broken is None:
        (directory / "token").unlink()
    elif broken == "token":
        (directory / "token").write_text("somebody-elses", "utf-8")
    else:
        monkeypatch.setenv(broken, "http://127.0.0.1:1")
    mail = mailed_by_script(directory)
    assert mail is not None
    assert mail.startswith("backups: the audit failed\n")
    assert reason in mail
    assert "last night's" not in mail
