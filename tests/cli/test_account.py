"""The whole account: its Droplets by name, by either plan, a part of it, the rest of it."""

from __future__ import annotations

import csv
import io
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import pytest

from gradient_async import AsyncGradient
from gradient_async.cli.account import rest_of
from gradient_async.cli.options import Account
from gradient_async.testing import DropletSize, Fault, SimulatedDroplet, Simulator

from .commands import Cli, Finished, ended, interrupt


def asked(simulator: Simulator) -> set[int]:
    """Name the Droplets that were asked about by themselves since the log was emptied."""
    paths = [request.path.split("/") for request in simulator.requests]
    return {int(path[3]) for path in paths if path[-1] == "backups" and len(path) == 5}


def names(simulator: Simulator) -> dict[int, str]:
    """Give the Droplets of the account with their names."""
    return {droplet.id: droplet.name for droplet in simulator.fleet.droplets.values()}


def uncertain(simulator: Simulator) -> set[int]:
    """Name the Droplets whose policy is enabled and that have no backup: they are asked again."""
    droplets = simulator.fleet.droplets.values()
    return {droplet.id for droplet in droplets if droplet.backup_policy and not droplet.backups}


def by_id(done: Finished) -> list[Any]:
    """Give the lines of a jsonl export in a fixed order."""
    return sorted(done.lines, key=lambda line: line["droplet_id"])


def test_tables_name_the_droplets(cli: Cli, simulator: Simulator) -> None:
    """Tables of an account show the name of each Droplet beside its ID."""
    for command in (("backups",), ("audit", "--all"), ("backups", "--rows", "backup")):
        table = cli(*command).out.partition("\n\n")[2] or cli(*command).out
        rows = [line.split()[:2] for line in table.splitlines()[2:]]
        assert {int(number): name for number, name in rows} == names(simulator)


def test_machine_formats_have_ids_and_names(cli: Cli, simulator: Simulator) -> None:
    """In jsonl and csv the ID and the name of each Droplet have the same two keys."""
    for command in (("backups",), ("audit",)):
        lines = cli(*command, "-f", "jsonl").lines
        assert {line["droplet_id"]: line["droplet_name"] for line in lines} == names(simulator)
        rows = list(csv.DictReader(io.StringIO(cli(*command, "-f", "csv").out)))
        assert {int(row["droplet_id"]): row["droplet_name"] for row in rows} == names(simulator)


def test_droplets_by_id_have_no_name(cli: Cli, droplet_ids: list[int]) -> None:
    """Droplets that are named by ID have no name in jsonl, and tables have no column for it."""
    one = str(droplet_ids[0])
    assert cli("backups", one, "-f", "jsonl").lines[0]["droplet_name"] is None
    assert cli("backups", one).out.split()[:2] == ["droplet", "backup"]


def test_the_plan_changes_the_requests_and_not_the_results(cli: Cli, simulator: Simulator) -> None:
    """Joined, only Droplets that the listings leave open are asked about; the results are equal."""
    exports = []
    for plan, expected in (
        ("joined", uncertain(simulator)),
        ("per_droplet", set(names(simulator))),
        ("auto", uncertain(simulator)),
    ):
        simulator.reset_log()
        exports.append(by_id(cli("backups", "--plan", plan, "-f", "jsonl")))
        assert asked(simulator) == expected
    assert exports[0] == exports[1] == exports[2]


def test_the_plan_changes_no_finding(cli: Cli, simulator: Simulator) -> None:
    """Either plan finds the same, also with a missing image and a Droplet that is refused."""
    first = next(iter(simulator.fleet.droplets.values()))
    simulator.fleet.hide(first.backups[0].id, "images")
    path = rf"/{first.id}/backups$"
    simulator.faults.add(Fault.status(403), path=path, times=None)
    found = []
    for plan in ("joined", "per_droplet"):
        lines = cli("audit", "--plan", plan, "-f", "jsonl").lines
        found.append({line["droplet_id"]: (line["finding"], line["count"]) for line in lines})
    assert found[0] == found[1]
    assert found[0][first.id] == ("error", 0)
    assert {finding for finding, _ in found[0].values()} > {"ok", "error", "never", "overdue"}


@pytest.mark.parametrize("command", ["backups", "audit"])
def test_a_dry_run_tells_the_cost_and_does_nothing(
    cli: Cli, simulator: Simulator, command: str
) -> None:
    """--dry-run prints the size of the account and the cost of each plan, and writes no file."""
    done = cli(command, "--dry-run", "-o", "out")
    assert done.code == 0
    heading, choice, _, titles, _, joined, each = done.out.splitlines()
    assert heading.startswith("24 Droplets, ")
    assert choice.startswith("auto takes joined: ")
    assert titles.split() == ["plan", "requests", "at", "least", "chosen"]
    assert (joined.split()[0], joined.split()[-1]) == ("joined", "yes")
    # one for the Droplets, and one each, but two for the one with more than 200 backups
    assert each.split() == ["per_droplet", str(1 + 24 + 1), "0", "s", "no"]
    assert not asked(simulator)
    assert len(simulator.requests) <= 3
    assert list(cli.directory.iterdir()) == []


def test_a_dry_run_for_machines(cli: Cli, simulator: Simulator) -> None:
    """A dry run in json is what `plan_fleet` gives, and in csv a row for each plan."""
    plan = json.loads(cli("backups", "--dry-run", "-f", "json").out)
    assert (plan["droplets"], plan["per_droplet_requests"], plan["choice"]) == (24, 26, "joined")
    [line] = cli("backups", "--dry-run", "-f", "jsonl").lines
    assert line == plan
    rows = list(csv.DictReader(io.StringIO(cli("audit", "--dry-run", "-f", "csv").out)))
    assert [(row["plan"], row["chosen"]) for row in rows] == [
        ("joined", "true"),
        ("per_droplet", "false"),
    ]
    assert rows[0]["requests"] == str(plan["joined_requests"])
    assert {row["images"] for row in rows} == {str(plan["images"])}


def test_a_dry_run_where_only_one_plan_is_possible(cli: Cli, simulator: Simulator) -> None:
    """A dry run leaves the cost of an impossible plan empty and says why it is impossible."""
    simulator.fleet.images_include_backups = False
    done = cli("backups", "--dry-run")
    assert "auto takes per_droplet: the private images of the account show no backups" in done.out
    assert done.out.splitlines()[-2].split() == ["joined", "no"]


def test_a_part_of_the_account(cli: Cli, simulator: Simulator) -> None:
    """--tag-name chooses Droplets of any type, and --type droplets those without GPUs."""
    simulator.fleet.add_droplet(SimulatedDroplet(7, "web-00", size=small(), tags=["env:prod"]))
    droplets = simulator.fleet.droplets.values()
    tagged = {droplet.id for droplet in droplets if "env:prod" in droplet.tags}
    for command in ("backups", "audit"):
        lines = cli(command, "--tag-name", "env:prod", "-f", "jsonl").lines
        assert {line["droplet_id"] for line in lines} == tagged
        [line] = cli(command, "--type", "droplets", "-f", "jsonl").lines
        assert (line["droplet_id"], line["droplet_name"]) == (7, "web-00")
        assert 7 not in {line["droplet_id"] for line in cli(command, "-f", "jsonl").lines}
    [line] = cli("audit", "7", "-f", "jsonl").lines
    assert line["finding"] == "disabled"


def small() -> DropletSize:
    """Give the size of a Droplet without a GPU."""
    return DropletSize("s-2vcpu-4gb", 4096, 2, 80)


def cut_off(cli: Cli, lines: int) -> Path:
    """Give an export of which only the first lines are there."""
    out = cli.directory / "out.jsonl"
    cli("backups", "-f", "jsonl", "-o", "out.jsonl")
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:lines]))
    cli.simulator.reset_log()
    return out


@pytest.mark.parametrize("plan", ["auto", "joined", "per_droplet"])
def test_the_rest_of_an_export_is_asked_for_by_either_plan(
    cli: Cli, simulator: Simulator, plan: str
) -> None:
    """A cut-off export is completed by the plan that is chosen, and has each Droplet once."""
    out = cut_off(cli, 4)
    finished = {json.loads(line)["droplet_id"] for line in out.read_text().splitlines()}
    done = cli("backups", "--resume", "out.jsonl", "--plan", plan)
    assert done.code == 0
    rest = set(names(simulator)) - finished
    assert asked(simulator) == (rest if plan == "per_droplet" else uncertain(simulator))
    assert done.told().startswith("20 Droplets · ")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["droplet_id"]: line["droplet_name"] for line in lines} == names(simulator)
    assert len(lines) == 24


@pytest.mark.parametrize("plan", ["auto", "joined", "per_droplet"])
def test_a_whole_export_takes_one_look_at_the_account(
    cli: Cli, simulator: Simulator, plan: str
) -> None:
    """Resuming a whole export lists the Droplets once, by any plan, and asks for nothing else."""
    cut_off(cli, 24)
    assert cli("backups", "--resume", "out.jsonl", "--plan", plan).code == 0
    assert [request.path for request in simulator.requests] == ["/v2/droplets"]


@pytest.mark.parametrize("plan", ["joined", "per_droplet"])
async def test_the_rest_lacks_what_has_no_result_yet(
    simulator: Simulator, droplet_ids: list[int], plan: Literal["joined", "per_droplet"]
) -> None:
    """Of the rest, a Droplet is missing until its result is taken; a finished one never is."""
    finished, rest = droplet_ids[:20], set(droplet_ids[20:])
    async with AsyncGradient(access_token=simulator.token, base_url=simulator.url) as client:
        results = await rest_of(client, (), Account(plan=plan), 5, finished)
        async with aclosing(results):
            assert (results.total, set(results.missing)) == (4, rest)
            async for result in results:
                rest.remove(result.droplet_id)
                assert (results.total, set(results.missing)) == (4, rest)
    assert not rest


def test_an_interrupted_join_names_what_is_known(cli: Cli, simulator: Simulator) -> None:
    """A join interrupted among its images names all Droplets as missing, and leaves no file."""
    simulator.faults.add(Fault.hold(), path="/v2/images$", after=1, times=None)
    with cli.start("backups", "--plan", "joined", "-f", "json", "-o", "out") as process:
        simulator.wait_for_sync(held=1)
        interrupt(process)
        done = ended(process)
    assert (done.code, done.out) == (130, "")
    told = done.told()
    assert told.startswith("interrupted: 24 Droplets not listed: ")
    assert {int(word) for word in told.rpartition(": ")[2].split(", ")} == set(names(simulator))
    assert list(cli.directory.iterdir()) == []


def test_a_deadline_before_anything_is_known(cli: Cli, simulator: Simulator) -> None:
    """A deadline that passes before the Droplets are known is code 3 and names none of them."""
    simulator.faults.add(Fault.hold(), path="/v2/droplets$", times=None)
    done = cli("backups", "--deadline", "1s")
    assert (done.code, done.out) == (3, "")
    assert done.told() == "the deadline passed: nothing was listed"


@pytest.mark.parametrize("other", [(), ("--output", "other.jsonl")])
def test_an_interrupted_resume_names_the_rest(
    cli: Cli, simulator: Simulator, other: tuple[str, ...]
) -> None:
    """An interrupted resume names what is left, keeps the file, and can be repeated as it says."""
    out = cut_off(cli, 4)
    before = out.read_bytes()
    finished = {json.loads(line)["droplet_id"] for line in before.splitlines()}
    simulator.faults.add(Fault.hold(), path="/v2/images$", after=1, times=None)
    with cli.start("backups", "--plan", "joined", "--resume", "out.jsonl", *other) as process:
        simulator.wait_for_sync(held=1)
        interrupt(process)
        done = ended(process)
    assert done.code == 130
    rest, go_on = done.err.splitlines()
    named = {int(word) for word in rest.rpartition(": ")[2].split(", ")}
    assert named == set(names(simulator)) - finished
    assert out.read_bytes() == before
    assert list(cli.directory.iterdir()) == [out]
    assert go_on == " ".join(["Continue with: gradient-async backups --resume out.jsonl", *other])
    simulator.faults.clear()
    assert cli(*go_on.split()[3:]).code == 0
    whole = (cli.directory / (other[1] if other else "out.jsonl")).read_text()
    assert len(whole.splitlines()) == 24


def test_a_run_is_continued_with_the_same_account(cli: Cli, simulator: Simulator) -> None:
    """The command to continue with has the base URL and token file of the run, never the token."""
    (cli.directory / "token").write_text(simulator.token)
    simulator.faults.add(Fault.hold(), path="/backups$", after=20, times=None)
    where = ("--base-url", simulator.url, "--token-file", "token")
    part = ("--plan", "per_droplet", "--deadline", "1s", "-o", "out.jsonl", "-f", "jsonl")
    done = cli("backups", *where, *part)
    assert done.code == 3
    command = f"gradient-async backups {' '.join(where)} --resume out.jsonl.partial"
    assert done.err.splitlines()[-1] == f"Continue with: {command}"
    assert simulator.token not in done.err


def test_the_join_is_no_use_for_the_rest_where_it_takes_more(
    cli: Cli, simulator: Simulator
) -> None:
    """Four Droplets that are left are asked about one by one, without a look at the listings."""
    out = cut_off(cli, 20)
    finished = {json.loads(line)["droplet_id"] for line in out.read_text().splitlines()}
    assert cli("backups", "--resume", "out.jsonl").code == 0
    assert asked(simulator) == set(names(simulator)) - finished
    assert len(simulator.requests) == 1 + 4
