"""``simulate`` and ``--simulate``: the first things that a newcomer tries."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from gradient_async.cli.demo import DROPLETS

from .commands import COMMAND, Finished, ended, environment, interrupt


def run(*args: str) -> Finished:
    """Run a command that knows of no token and no API."""
    done = subprocess.run(
        [*COMMAND, *args], env=environment(), capture_output=True, text=True, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def test_the_first_command_of_the_readme() -> None:
    """The first command of the README lists a few hundred simulated Droplets and exits with 0."""
    done = run("backups", "--simulate", "--format", "json")
    listed = json.loads(done.out)
    assert done.code == 0, done.err
    assert len(listed) == DROPLETS
    counts = [len(entry["backups"]) for entry in listed]
    assert max(counts) > 200
    assert 0 in counts
    assert not any(entry["error"] for entry in listed)
    assert re.match(r"300 Droplets · [\d,]+ backups, .* · \d+ without backups in ", done.told())


def test_the_demo_pauses_where_each_droplet_is_asked() -> None:
    """With a request for each Droplet the demo meets its limit, and still no Droplet fails."""
    done = run("backups", "--simulate", "--plan", "per_droplet", "--format", "jsonl")
    assert done.code == 0, done.err
    assert len(done.lines) == DROPLETS
    assert not any(line["error"] for line in done.lines)


def test_the_demo_of_the_audit_has_findings() -> None:
    """The audit of the demo has findings of each kind that matters, and exits with 1."""
    done = run("audit", "--simulate", "--format", "json")
    assert done.code == 1, done.err
    counts = json.loads(done.out)["summary"]["findings"]
    assert {finding for finding, number in counts.items() if number} >= {
        "ok",
        "disabled",
        "overdue",
        "never",
    }


def test_a_simulated_account_can_be_asked_by_other_commands() -> None:
    """The simulate command prints shell settings by which other commands ask it, until Ctrl-C."""
    command = [*COMMAND, "simulate", "--droplets", "3", "--limit", "250/60"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        settings = dict(re.findall(r"^export (\w+)=(\S+)$", "".join(lines), re.MULTILINE))
        assert set(settings) == {"GRADIENT_BASE_URL", "DIGITALOCEAN_ACCESS_TOKEN"}
        done = subprocess.run(
            [*COMMAND, "policies", "-f", "jsonl"],
            env=environment() | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
        interrupt(process)
        stopped = ended(process)
    assert (stopped.code, stopped.out) == (0, "")
    assert stopped.err == "Serving 3 Droplets. Ctrl-C ends it.\n"


@pytest.mark.parametrize("args", [("policies",), ("supported-policies",)])
def test_every_command_can_be_tried(args: tuple[str, ...]) -> None:
    """With --simulate every command works without an account and a token."""
    assert run(*args, "--simulate").code == 0
