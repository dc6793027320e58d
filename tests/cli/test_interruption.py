"""Ctrl-C, a deadline, and going on later: nothing that was finished is lost or asked for again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradient_async.testing import Fault, Simulator

from .commands import Cli, Finished, ended, interrupt


def ids_in(path: Path) -> list[int]:
    """Read the Droplet IDs of an export."""
    return [json.loads(line)["droplet_id"] for line in path.read_text().splitlines()]


def asked(simulator: Simulator) -> list[int]:
    """Name the Droplets whose backups were asked for since the log was emptied, once each."""
    paths = [request.path.split("/") for request in simulator.requests]
    ids = [int(path[3]) for path in paths if path[-1] == "backups" and len(path) == 5]
    return sorted(set(ids))


@pytest.fixture
def held_ids(simulator: Simulator, droplet_ids: list[int]) -> list[int]:
    """Three Droplets that get no answer."""
    held = droplet_ids[4:7]
    path = rf"/({'|'.join(map(str, held))})/backups$"
    simulator.faults.add(Fault.hold(), path=path, times=None)
    return held


def interrupted(cli: Cli, *args: str | Path) -> Finished:
    """Start a command and interrupt it once only the held Droplets are outstanding."""
    with cli.start(*args, "--concurrency", "30") as process:
        cli.simulator.wait_for_sync(
            lambda simulator: simulator.held == 3 and len(asked(simulator)) == 21
        )
        cli.simulator.wait_for_sync(lambda simulator: simulator.in_flight == 3)
        wait_until_written(cli, args)
        interrupt(process)
        return ended(process)


def wait_until_written(cli: Cli, args: tuple[str | Path, ...]) -> None:
    """Wait until all that was answered is in the partial file, where there is one."""
    partial = next(
        (cli.directory / f"{args[at + 1]}.partial" for at, arg in enumerate(args) if arg == "-o"),
        None,
    )
    while partial is not None and len(partial.read_bytes().splitlines()) < 21:
        pass


@pytest.mark.parametrize("kind", ["table", "json"])
def test_ctrl_c_writes_what_was_finished_and_names_what_was_not(
    cli: Cli, held_ids: list[int], kind: str
) -> None:
    """Also in the formats that are written at the end; the exit code is 130."""
    done = interrupted(cli, "backups", "-f", kind)
    assert done.code == 130
    if kind == "json":
        listed = {entry["droplet_id"] for entry in json.loads(done.out)}
    else:
        listed = {int(line.split()[0]) for line in done.out.splitlines()[2:]}
    missing = set(cli.simulator.fleet.droplets) - listed
    assert set(held_ids) <= missing
    named = done.err.splitlines()[-1]
    assert named.startswith(f"interrupted: {len(missing)} Droplets not listed: ")
    assert {int(word) for word in named.rpartition(": ")[2].split(", ")} == missing


def test_an_interrupted_export_is_completed(
    cli: Cli, simulator: Simulator, held_ids: list[int], droplet_ids: list[int]
) -> None:
    """What it has is not asked for again, and in the end it is as if there had been no Ctrl-C."""
    done = interrupted(cli, "backups", "-f", "jsonl", "-o", "out.jsonl")
    out = cli.directory / "out.jsonl"
    assert done.code == 130
    assert set(ids_in(out)) == set(droplet_ids) - set(held_ids)
    assert "Continue with: gradient-async backups --resume out.jsonl" in done.err
    simulator.faults.clear()
    simulator.reset_log()
    done = cli("backups", "--resume", "out.jsonl")
    assert done.code == 0
    assert asked(simulator) == sorted(held_ids)
    assert sorted(ids_in(out)) == droplet_ids
    assert list(cli.directory.iterdir()) == [out]


def test_an_interrupted_run_replaces_no_whole_file(cli: Cli, held_ids: list[int]) -> None:
    """With --force, too, the file that was there stays until there is a whole one."""
    good = cli.directory / "out.jsonl"
    good.write_text("good\n")
    done = interrupted(cli, "backups", "-f", "jsonl", "-o", "out.jsonl", "--force")
    assert done.code == 130
    assert good.read_text() == "good\n"
    left = cli.directory / "out.jsonl.partial"
    assert not set(held_ids) & set(ids_in(left))
    assert str(left) in done.err


def test_a_deadline_ends_the_run_with_what_there_is(
    cli: Cli, held_ids: list[int], droplet_ids: list[int]
) -> None:
    """The exit code is 3, since the API was not asked to the end."""
    done = cli("backups", "--deadline", "2s", "-f", "jsonl")
    assert done.code == 3
    assert {line["droplet_id"] for line in done.lines} == set(droplet_ids) - set(held_ids)
    assert "the deadline passed: 3 Droplets not listed: " in done.err


def test_a_line_that_was_cut_off_and_droplets_that_failed_are_asked_for_again(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """A killed run leaves half a line; the resumed export has each Droplet once."""
    cli("backups", "-f", "jsonl", "-o", "out.jsonl")
    out = cli.directory / "out.jsonl"
    lines = out.read_bytes().splitlines(keepends=True)
    failed = json.dumps({"droplet_id": 77, "backups": [], "error": {"type": "APIError"}}).encode()
    left = cli.directory / "out.jsonl.partial"
    left.write_bytes(b"".join([*lines[:20], failed, b"\n", lines[20][:-9]]))
    out.unlink()
    simulator.reset_log()
    done = cli("backups", "--resume", "out.jsonl.partial")
    assert done.code == 0
    assert len(asked(simulator)) == 4
    assert sorted(ids_in(out)) == droplet_ids
    assert not left.exists()


def test_an_export_can_be_completed_into_another_file(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """The one that is resumed stays as it was."""
    first, second = droplet_ids[:2]
    cli("backups", "-f", "jsonl", "-o", "a.jsonl", str(first))
    before = (cli.directory / "a.jsonl").read_bytes()
    simulator.reset_log()
    done = cli("backups", "--resume", "a.jsonl", "-o", "b.jsonl", str(first), str(second))
    assert (done.code, asked(simulator)) == (0, [second])
    assert ids_in(cli.directory / "b.jsonl") == [first, second]
    assert (cli.directory / "a.jsonl").read_bytes() == before


def test_what_is_no_export_is_not_resumed(cli: Cli, simulator: Simulator) -> None:
    """The file stays as it is, and nothing is asked."""
    other = cli.directory / "other.jsonl"
    other.write_text('{"droplet_id": 1}\n{}\n')
    done = cli("backups", "--resume", "other.jsonl")
    assert done.code == 2
    assert "line 1 of other.jsonl is not what `backups --format jsonl` writes" in done.told()
    assert other.read_text() == '{"droplet_id": 1}\n{}\n'
    assert simulator.received == 0
    assert list(cli.directory.iterdir()) == [other]
