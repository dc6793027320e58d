"""``backups``, ``policies`` and ``supported-policies``: what is on which stream, in each format."""

from __future__ import annotations

import csv
import io
import json

import pytest

from gradient_async.testing import Fault, Simulator

from .commands import CONTROL, Cli, ended


def backup_count(simulator: Simulator) -> int:
    """Count the backups of the account."""
    return sum(len(droplet.backups) for droplet in simulator.fleet.droplets.values())


def fail_one(simulator: Simulator, droplet_id: int) -> None:
    """Let the listing of one Droplet fail, whatever is tried."""
    path = rf"/v2/droplets/{droplet_id}/backups$"
    simulator.faults.add(Fault.status(403), path=path, times=None)


def test_a_whole_account_is_a_table_with_a_row_for_each_droplet(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """The table is on stdout, in the account's order; stderr has the sums and nothing else."""
    done = cli("backups")
    heading, rule, *rows = done.out.splitlines()
    assert heading.split()[:4] == ["droplet", "name", "backups", "newest"]
    assert set(rule) == {"─", " "}
    assert [int(row.split()[0]) for row in rows] == droplet_ids
    assert f"24 Droplets · {backup_count(simulator):,} backups" in done.told()
    assert done.code == 0
    assert not CONTROL.search(done.out)


def test_named_droplets_have_a_row_for_each_backup(cli: Cli, droplet_ids: list[int]) -> None:
    """The first Droplet has seven daily backups; asked twice, it is listed once."""
    done = cli("backups", str(droplet_ids[0]), str(droplet_ids[0]))
    assert len(done.out.splitlines()) == 2 + 7
    assert done.code == 0


def test_jsonl_has_each_droplet_with_all_its_backups(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """Each line is a Droplet; more than one page of backups are all there."""
    done = cli("backups", "--format", "jsonl")
    assert sorted(line["droplet_id"] for line in done.lines) == droplet_ids
    for line in done.lines:
        backups = simulator.fleet.droplets[line["droplet_id"]].backups
        assert [backup["id"] for backup in line["backups"]] == [backup.id for backup in backups]
        assert line["error"] is None
    assert max(len(line["backups"]) for line in done.lines) > 200


def test_json_is_one_array_in_the_order_that_was_asked(cli: Cli, droplet_ids: list[int]) -> None:
    """The order does not depend on which answer came first."""
    asked = [droplet_ids[5], droplet_ids[0], droplet_ids[3]]
    done = cli("backups", "-f", "json", *map(str, asked))
    assert [entry["droplet_id"] for entry in json.loads(done.out)] == asked


def test_csv_has_a_row_for_each_backup_and_one_where_there_is_none(
    cli: Cli, simulator: Simulator
) -> None:
    """Every Droplet is to be found in the rows, and no backup is lost."""
    rows = list(csv.DictReader(io.StringIO(cli("backups", "-f", "csv").out)))
    assert {int(row["droplet_id"]) for row in rows} == set(simulator.fleet.droplets)
    assert sum(bool(row["backup_id"]) for row in rows) == backup_count(simulator)
    assert rows[0]["created_at"].endswith("Z")


def test_every_column_can_be_had(cli: Cli, simulator: Simulator, droplet_ids: list[int]) -> None:
    """--columns can name each column, also one that the table does not show by itself."""
    columns = "droplet_name,newest_name"
    done = cli("backups", "--rows", "droplet", "--columns", columns, "-f", "csv")
    newest = simulator.fleet.droplets[droplet_ids[0]].backups[-1].name
    name = simulator.fleet.droplets[droplet_ids[0]].name
    assert f"{name},{newest}" in done.out.splitlines()


def test_columns_are_those_that_were_asked_for(cli: Cli, droplet_ids: list[int]) -> None:
    """--columns gives the columns in the order in which they are named, also empty ones."""
    done = cli("backups", "--columns", "error,droplet_id", "-f", "csv", str(droplet_ids[3]))
    assert done.out == f"error,droplet_id\n,{droplet_ids[3]}\n"
    done = cli("backups", "--columns", "error,droplet_id", str(droplet_ids[3]))
    assert done.out.splitlines()[0].split() == ["error", "droplet"]


def test_one_droplet_that_fails_is_told_and_the_others_are_listed(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """A Droplet that fails is told in the output and on stderr, with exit code 1."""
    fail_one(simulator, droplet_ids[2])
    done = cli("backups", "-f", "jsonl", "--plan", "per_droplet")
    [failed] = [line for line in done.lines if line["error"]]
    assert (failed["droplet_id"], failed["backups"]) == (droplet_ids[2], [])
    assert failed["error"]["type"] == "PermissionDeniedError"
    assert failed["error"]["status_code"] == 403
    name = simulator.fleet.droplets[droplet_ids[2]].name
    assert failed["droplet_name"] == name
    assert f"Droplet {droplet_ids[2]} ({name}) failed: 403 forbidden" in done.err
    assert (done.code, len(done.lines)) == (1, 24)


def test_policies_include_the_droplets_with_backups_disabled(
    cli: Cli, simulator: Simulator
) -> None:
    """Hour 0 and ``false`` are values; a Droplet without a policy has its fields empty."""
    done = cli("policies", "-f", "jsonl")
    by_id = {line["droplet_id"]: line["policy"] for line in done.lines}
    assert set(by_id) == set(simulator.fleet.droplets)
    disabled = [policy for policy in by_id.values() if policy["backup_enabled"] is False]
    assert disabled
    assert disabled[0]["backup_policy"] is None
    assert 0 in {
        policy["backup_policy"]["hour"] for policy in by_id.values() if policy not in disabled
    }
    table = cli("policies").out.splitlines()
    assert len(table) == 2 + 24
    assert " no" in "".join(table)


def test_policies_of_named_droplets(cli: Cli, droplet_ids: list[int]) -> None:
    """Of the policies of named Droplets, only that of an unknown Droplet is an error."""
    columns = "droplet_id,plan,error"
    done = cli("policies", str(droplet_ids[0]), "7", "-f", "csv", "--columns", columns)
    assert set(done.out.splitlines()[1:]) == {
        f"{droplet_ids[0]},daily,",
        "7,,404 not_found: The resource you requested could not be found",
    }
    assert done.code == 1
    assert "Droplet 7 failed: 404" in done.err


def test_supported_policies(cli: Cli) -> None:
    """supported-policies lists the plans in the order of the API."""
    done = cli("supported-policies", "-f", "json")
    assert [plan["name"] for plan in json.loads(done.out)][:2] == ["weekly", "daily"]
    assert done.told().startswith("3 plans")


def test_results_are_written_as_they_come(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """While one Droplet's answer is outstanding, the lines of the others can be read."""
    simulator.faults.add(Fault.hold(), path=rf"/{droplet_ids[0]}/backups$")
    with cli.start("backups", "-f", "jsonl", "--plan", "per_droplet") as process:
        assert process.stdout is not None
        early = [json.loads(process.stdout.readline())["droplet_id"] for _ in range(23)]
        assert droplet_ids[0] not in early
        simulator.release()
        done = ended(process)
    assert [line["droplet_id"] for line in done.lines] == [droplet_ids[0]]
    assert done.code == 0


def test_a_reader_that_goes_away_ends_the_command_quietly(cli: Cli, simulator: Simulator) -> None:
    """As with any other tool in a pipe, there is no traceback; the code is that of SIGPIPE."""
    simulator.faults.add(Fault.hold(), path="/backups$", after=3, times=None)
    with cli.start("backups", "-f", "jsonl", "--plan", "per_droplet") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        simulator.faults.clear()
        simulator.release()
        done = ended(process)
    assert (done.code, done.err) == (141, "")


EVIL = "evil\x1b]0;owned\x07\x9b31m\u202egnp\r"


@pytest.fixture
def evil_id(simulator: Simulator, droplet_ids: list[int]) -> int:
    """The ID of a Droplet whose only backup has a name that would steer a terminal."""
    simulator.fleet.add_backup(droplet_ids[3], name=EVIL)
    return droplet_ids[3]


def test_a_table_spells_control_characters_out(cli: Cli, evil_id: int) -> None:
    """A name from the API cannot colour, retitle or reorder what a terminal shows."""
    done = cli("backups", str(evil_id))
    assert "evil\\x1b]0;owned\\x07\\x9b31m\\u202egnp\\r" in done.out
    assert not CONTROL.search(done.out)


def test_programs_read_what_the_api_sent(cli: Cli, evil_id: int) -> None:
    """In a pipe or a file, csv and json have each name exactly as the API sent it."""
    [line] = cli("backups", str(evil_id), "-f", "jsonl").lines
    assert line["backups"][0]["name"] == EVIL
    cli("backups", str(evil_id), "-f", "csv", "-o", "out.csv")
    with (cli.directory / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [EVIL]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_terminal_gets_no_control_characters_in_any_format(
    cli: Cli, evil_id: int, kind: str
) -> None:
    """On a terminal csv and json, too, show no control character of a name."""
    code, shown = cli.on_terminal("backups", str(evil_id), "-f", kind)
    assert code == 0
    assert "evil" in shown
    assert not {"\x07", "\x9b", "\u202e"} & set(shown)
    assert "\x1b]" not in shown
