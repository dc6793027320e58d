"""``audit``: its exit codes, which people's cron jobs hang on, and its output."""

from __future__ import annotations

import csv
import io
import json

import pytest

from gradient_async.audit import DropletAudit, Finding
from gradient_async.cli.auditing import audit_layout, rules_of
from gradient_async.cli.options import FINDINGS
from gradient_async.testing import Fault, Simulator

from .commands import CONTROL, Cli


def protected(simulator: Simulator) -> str:
    """Give the ID of a Droplet whose newest backup is a daily one of today or yesterday."""
    return str(next(iter(simulator.fleet.droplets)))


def test_a_protected_fleet_is_code_0(cli: Cli, simulator: Simulator) -> None:
    """An audit of one protected Droplet takes two requests, prints figures, and exits with 0."""
    done = cli("audit", protected(simulator))
    assert (done.code, simulator.received) == (0, 2)
    counts, figures = done.out.splitlines()[:2]
    assert counts == "1 Droplet: 1 ok"
    assert figures.startswith("100.0 % protected · 7 backups")
    assert "0 with findings" in done.told()


def test_findings_are_code_1_and_the_worst_is_first(cli: Cli, simulator: Simulator) -> None:
    """Findings exit with 1, and the table lists them by severity; jsonl has every Droplet."""
    done = cli("audit")
    assert done.code == 1
    table = done.out.partition("\n\n")[2].splitlines()[2:]
    found = [line.split()[2] for line in table]
    assert set(found) >= {"disabled", "never", "overdue"}
    assert "ok" not in found
    assert found == sorted(found, key=lambda name: -Finding(name).severity)
    assert not CONTROL.search(done.out)
    assert len(cli("audit", "-f", "jsonl").lines) == len(simulator.fleet.droplets)


def test_a_name_does_not_steer_the_terminal(cli: Cli, simulator: Simulator) -> None:
    """The figures above the table name the worst Droplet with control characters written out."""
    with simulator.fleet.edit():
        for droplet in simulator.fleet.droplets.values():
            droplet.name = "web\x1b]0;owned\x07\nx"
    done = cli("audit")
    figures = done.out.splitlines()[1]
    assert "worst recovery point" in figures
    assert figures.endswith("(web\\x1b]0;owned\\x07\\nx)")
    assert not CONTROL.search(done.out)


def test_the_policies_are_read_once(cli: Cli, simulator: Simulator) -> None:
    """An audit that joins the account reads the policies once."""
    cli("audit", "--plan", "joined")
    paths = [request.path.rpartition("/")[2] for request in simulator.requests]
    assert paths.count("policies") == 1 < paths.count("images") + paths.count("droplets")


def test_all_lists_those_that_are_well_too(cli: Cli, simulator: Simulator) -> None:
    """--all adds the Droplets without a finding to the table."""
    done = cli("audit", "--all")
    rows = done.out.partition("\n\n")[2].splitlines()[2:]
    assert len(rows) == len(simulator.fleet.droplets)


def test_fail_on_chooses_what_counts(cli: Cli, simulator: Simulator) -> None:
    """--fail-on chooses the findings that make the exit code 1; the others are still listed."""
    done = cli("audit", "--fail-on", "error,unknown_plan", "-f", "csv")
    assert done.code == 0
    findings = {row["finding"] for row in csv.DictReader(io.StringIO(done.out))}
    assert "disabled" in findings
    assert cli("audit", "--fail-on", "disabled").code == 1


def test_every_finding_can_be_chosen() -> None:
    """``--fail-on`` names all but the good one."""
    assert set(FINDINGS) == {finding.value for finding in Finding} - {"ok"}


def test_max_age_is_stricter_than_the_plan(cli: Cli, simulator: Simulator) -> None:
    """With --max-age a Droplet is overdue though its newest backup is as its plan promises."""
    done = cli("audit", protected(simulator), "--max-age", "1s", "-f", "json")
    assert done.code == 1
    audited = json.loads(done.out)
    assert audited["droplets"][0]["finding"] == "overdue"
    assert audited["summary"]["max_age_seconds"] == 1


def test_a_droplet_that_fails_is_a_finding(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """A Droplet that cannot be asked about is an error finding, and the others are judged."""
    first, fifth = droplet_ids[0], droplet_ids[8]
    simulator.faults.add(Fault.status(403), path=rf"/{first}/backups$", times=None)
    done = cli("audit", str(first), str(fifth), "-f", "json")
    assert done.code == 1
    findings = {entry["droplet_id"]: entry["finding"] for entry in json.loads(done.out)["droplets"]}
    assert findings == {first: "error", fifth: "ok"}


def test_csv_columns_are_those_of_the_library(cli: Cli, simulator: Simulator) -> None:
    """Output for machines has the names and values of `DropletAudit.to_dict`."""
    done = cli("audit", protected(simulator), "-f", "csv")
    [row] = csv.DictReader(io.StringIO(done.out))
    [document] = json.loads(cli("audit", protected(simulator), "-f", "json").out)["droplets"]
    assert list(row) == list(document)
    texts = {name: "" if value is None else str(value) for name, value in document.items()}
    differing = {name for name in row if row[name] != texts[name]}
    assert differing <= {"age_seconds", "reason"}  # a second may pass between the two


def test_the_library_has_no_field_that_csv_lacks() -> None:
    """The csv columns of an audit are all fields of `DropletAudit.to_dict`, in its order."""
    audit = DropletAudit(droplet_id=1, finding=Finding.OK, reason="")
    layout = audit_layout(rules_of(None, 0.0))
    assert [column.name for column in layout.exported()] == list(audit.to_dict())


def test_an_audit_that_is_cut_short_is_code_3(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """An audit that a deadline ends exits with 3, names what is missing, and writes no report."""
    pytest.importorskip("plotly")
    simulator.faults.add(Fault.hold(), path=rf"/{droplet_ids[0]}/backups$")
    done = cli("audit", *map(str, droplet_ids[:2]), "--deadline", "1s", "--html", "report.html")
    assert done.code == 3
    assert f"not listed: {droplet_ids[0]}" in done.err
    assert "no report was written" in done.err
    assert list(cli.directory.iterdir()) == []


def test_the_report_can_go_to_stdout(cli: Cli, simulator: Simulator) -> None:
    """--html - writes the report to stdout when the audit goes to a file."""
    pytest.importorskip("plotly")
    done = cli("audit", protected(simulator), "--html", "-", "-o", "out")
    assert done.code == 0
    assert done.out.startswith("<!doctype html>")
    assert "report: " not in done.err


def test_the_report_is_written_beside_the_output(cli: Cli, simulator: Simulator) -> None:
    """--html FILE writes the report to a file, and leaves stdout as it is without the option."""
    pytest.importorskip("plotly")
    done = cli("audit", protected(simulator), "--html", "report.html", "-f", "jsonl")
    assert (done.code, len(done.lines)) == (0, 1)
    assert "report: report.html" in done.err
    page = (cli.directory / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>") or page.lower().startswith("<!doctype html>")
