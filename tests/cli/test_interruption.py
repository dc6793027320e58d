"""Ctrl-C, a deadline, and going on later: nothing that was finished is lost or asked for again."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from thread_helpers import until

from gradient_async._fan_out import FanOut
from gradient_async.cli import main
from gradient_async.cli.run import Run
from gradient_async.cli.session import run_in_loop
from gradient_async.cli.signals import sigterm
from gradient_async.testing import Fault, Simulator

from .commands import MODULE, Cli, Finished, ended, interrupt


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


def interrupted(
    cli: Cli,
    *args: str | Path,
    held: int = 3,
    part: Path | None = None,
    number: signal.Signals = signal.SIGINT,
    command: Sequence[str] = MODULE,
) -> Finished:
    """Start a command and interrupt it once only the held Droplets are outstanding.

    Args:
        cli: Runs the command.
        args: Its arguments.
        held: How many Droplets get no answer.
        part: The file that the others are written to one by one, if there is one.
        number: The signal.
        command: How Python is told to run the command.
    """
    finished = len(cli.simulator.fleet.droplets) - held
    all_args = (*args, "--plan", "per_droplet", "--concurrency", "30")
    cli.simulator.wait_for_sync(lambda simulator: simulator.in_flight == 0)
    with cli.start(*all_args, command=command) as process:
        cli.simulator.wait_for_sync(held=held)
        if part is not None:
            until(lambda: len(part.read_bytes().splitlines()) >= finished)
        else:
            cli.simulator.wait_for_sync(lambda simulator: len(asked(simulator)) == finished)
            cli.simulator.wait_for_sync(lambda simulator: simulator.in_flight == held)
        interrupt(process, number)
        return ended(process)


@pytest.mark.parametrize("kind", ["table", "json"])
def test_ctrl_c_writes_what_was_finished_and_names_what_was_not(
    cli: Cli, held_ids: list[int], kind: str
) -> None:
    """Ctrl-C writes what was finished in table and json, names the rest, and exits with 130."""
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


@pytest.mark.parametrize("by", ["ctrl-c", "deadline"])
@pytest.mark.parametrize("kind", ["table", "json", "jsonl", "csv"])
def test_what_is_not_complete_has_no_proper_name(
    cli: Cli, held_ids: list[int], kind: str, by: str
) -> None:
    """In each format a run that is cut off leaves a partial file, and is not begun anew over it."""
    part = cli.directory / "out.partial"
    args = ("backups", "-f", kind, "-o", "out")
    if by == "ctrl-c":
        done = interrupted(cli, *args, part=part if kind in ("jsonl", "csv") else None)
    else:
        done = cli(*args, "--plan", "per_droplet", "--deadline", "4s")
    assert done.code == {"ctrl-c": 130, "deadline": 3}[by]
    assert done.err.splitlines()[0].endswith(": out.partial")
    assert list(cli.directory.iterdir()) == [part]
    assert part.stat().st_size > 0
    refused = cli(*args)
    assert refused.code == 2
    assert "out.partial is there, of a run that was cut off" in refused.told()


def test_an_interrupted_export_is_completed(
    cli: Cli, simulator: Simulator, held_ids: list[int], droplet_ids: list[int]
) -> None:
    """A resumed export asks only for what it lacks, and ends as if there had been no Ctrl-C."""
    out, part = cli.directory / "out.jsonl", cli.directory / "out.jsonl.partial"
    done = interrupted(cli, "backups", "-f", "jsonl", "-o", "out.jsonl", part=part)
    assert done.code == 130
    assert list(cli.directory.iterdir()) == [part]
    assert set(ids_in(part)) == set(droplet_ids) - set(held_ids)
    assert done.err.endswith("Continue with: gradient-async backups --resume out.jsonl.partial\n")
    simulator.faults.clear()
    simulator.reset_log()
    done = cli("backups", "--resume", "out.jsonl.partial")
    assert done.code == 0
    assert asked(simulator) == sorted(held_ids)
    assert sorted(ids_in(out)) == droplet_ids
    assert list(cli.directory.iterdir()) == [out]


@pytest.mark.parametrize("other", [(), ("-o", "out.jsonl"), ("-o", "other.jsonl")])
def test_an_export_that_is_cut_off_again_is_still_a_part(
    cli: Cli, simulator: Simulator, held_ids: list[int], other: tuple[str, ...]
) -> None:
    """A resume that is cut off keeps what it had and gained, and tells how to go on."""
    first, second, third = held_ids
    begun = cli.directory / "out.jsonl.partial"
    whole = cli.directory / (other[1] if other else "out.jsonl")
    part = whole.with_name(f"{whole.name}.partial")
    interrupted(cli, "backups", "-f", "jsonl", "-o", "out.jsonl", part=begun)
    before = set(ids_in(begun))
    simulator.faults.clear()
    simulator.faults.add(Fault.hold(), path=rf"/({second}|{third})/backups$", times=None)
    done = interrupted(cli, "backups", "--resume", begun.name, *other, held=2, part=part)
    assert done.code == 130
    assert set(ids_in(part)) == before | {first}
    assert not whole.exists()
    go_on = done.err.splitlines()[-1].split()
    assert go_on[-2:] == ["--resume", part.name]
    simulator.faults.clear()
    assert cli(*go_on[3:]).code == 0
    assert sorted(ids_in(whole)) == sorted(simulator.fleet.droplets)
    assert not part.exists()
    assert begun.exists() == (begun != part)


def test_a_resume_replaces_another_whole_file_only_if_forced(
    cli: Cli, simulator: Simulator, held_ids: list[int]
) -> None:
    """A resume that would replace a whole file is refused without --force, and keeps both files."""
    whole, part = cli.directory / "out.jsonl", cli.directory / "out.jsonl.partial"
    whole.write_text("good\n")
    done = interrupted(cli, "backups", "-f", "jsonl", "-o", "out.jsonl", "--force", part=part)
    go_on = done.err.splitlines()[-1]
    assert go_on.endswith(" --resume out.jsonl.partial --force")
    simulator.faults.clear()
    simulator.reset_log()
    refused = cli("backups", "--resume", part.name)
    assert (refused.code, simulator.requests) == (2, [])
    assert refused.told() == "gradient-async: out.jsonl exists; --force replaces it"
    assert (whole.read_text(), len(ids_in(part))) == ("good\n", 21)
    assert cli(*go_on.split()[3:]).code == 0
    assert len(ids_in(whole)) == 24
    assert not part.exists()


def test_a_file_that_is_resumed_stays_until_it_is_complete(
    cli: Cli, simulator: Simulator, held_ids: list[int]
) -> None:
    """A file that is resumed is left as it is until the partial file beside it is complete."""
    whole, part = cli.directory / "out.jsonl", cli.directory / "out.jsonl.partial"
    cli("backups", str(min(simulator.fleet.droplets)), "-f", "jsonl", "-o", "out.jsonl")
    before = whole.read_text()
    done = interrupted(cli, "backups", "--resume", "out.jsonl", part=part)
    assert done.code == 130
    assert whole.read_text() == before
    assert len(ids_in(part)) == 21
    assert done.err.endswith(" --resume out.jsonl.partial --force\n")
    simulator.faults.clear()
    assert "out.jsonl.partial is there" in cli("backups", "--resume", "out.jsonl").told()
    assert cli("backups", "--resume", "out.jsonl", "--force").code == 0
    assert list(cli.directory.iterdir()) == [whole]
    assert len(ids_in(whole)) == 24


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_is_as_good_as_ctrl_c(
    cli: Cli, held_ids: list[int], loop: str, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT end a run alike on each loop, with 128 plus the signal as exit code."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    hide = "import sys; sys.modules['uvloop'] = None; " if loop == "asyncio" else ""
    code = f"{hide}from gradient_async.cli import main; raise SystemExit(main())"
    done = interrupted(cli, "backups", "-f", "json", number=number, command=("-c", code))
    assert done.code == 128 + number
    listed = {entry["droplet_id"] for entry in json.loads(done.out)}
    missing = set(cli.simulator.fleet.droplets) - listed
    assert set(held_ids) <= missing
    assert f"interrupted: {len(missing)} Droplets not listed: " in done.err


def test_sigterm_ends_what_a_shell_runs_in_the_background(cli: Cli, held_ids: list[int]) -> None:
    """SIGTERM ends a run that ignores SIGINT, and keeps what was finished."""
    part = cli.directory / "out.jsonl.partial"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        args = ("backups", "-f", "jsonl", "-o", "out.jsonl")
        done = interrupted(cli, *args, part=part, number=signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.code == 143
    assert set(ids_in(part)) == set(cli.simulator.fleet.droplets) - set(held_ids)
    assert "Continue with: gradient-async backups --resume out.jsonl.partial" in done.err


def test_sigterm_while_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM outside a run exits with 143, and the handler from before is put back."""
    before = signal.getsignal(signal.SIGTERM)

    def serve(**_: object) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr("gradient_async.cli.demo.serve", serve)
    assert main(["simulate"]) == 143
    assert capsys.readouterr().err.strip() == "gradient-async: interrupted"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_can_run_a_command() -> None:
    """A command runs in a thread, where no signal can be handled."""
    with ThreadPoolExecutor() as threads:
        assert threads.submit(main, ["--version"]).result() == 0


def test_a_second_signal_ends_what_the_first_did_not() -> None:
    """A coroutine that goes on after the first one cannot do so after the second."""

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(60)
        signal.raise_signal(signal.SIGTERM)

    with sigterm.handled(), pytest.raises(KeyboardInterrupt):
        run_in_loop(stubborn())


def test_a_signal_that_comes_too_late_for_a_result() -> None:
    """A signal that cancels the main coroutine of a loop is a KeyboardInterrupt to its caller."""

    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(60)

    with sigterm.handled(), pytest.raises(KeyboardInterrupt):
        run_in_loop(work())


@pytest.mark.parametrize("installed", [True, False])
def test_uvloop_is_used_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """A command runs on uvloop where that is installed, and on asyncio's own loop elsewhere."""
    if installed:
        pytest.importorskip("uvloop")
    else:
        monkeypatch.setitem(sys.modules, "uvloop", None)

    async def loop() -> str:
        return type(asyncio.get_running_loop()).__module__.split(".")[0]

    assert run_in_loop(loop()) == ("uvloop" if installed else "asyncio")


def test_an_interrupted_run_replaces_no_whole_file(cli: Cli, held_ids: list[int]) -> None:
    """An interrupted run with --force leaves the file that was there as it is."""
    good, left = cli.directory / "out.jsonl", cli.directory / "out.jsonl.partial"
    good.write_text("good\n")
    done = interrupted(cli, "backups", "-f", "jsonl", "-o", "out.jsonl", "--force", part=left)
    assert done.code == 130
    assert good.read_text() == "good\n"
    assert not set(held_ids) & set(ids_in(left))
    assert done.err.endswith(" --resume out.jsonl.partial --force\n")


def test_a_deadline_ends_the_run_with_what_there_is(
    cli: Cli, held_ids: list[int], droplet_ids: list[int]
) -> None:
    """A run that a deadline ends lists what was answered, names the rest, and exits with 3."""
    done = cli("backups", "--plan", "per_droplet", "--deadline", "5s", "-f", "jsonl")
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


@pytest.mark.parametrize("more", [(), ("-o", "other.jsonl")])
def test_a_resume_that_is_refused_can_be_repeated(cli: Cli, more: tuple[str, ...]) -> None:
    """A resume without a token leaves the partial file; repeated with one it succeeds."""
    left = cli.directory / "out.jsonl.partial"
    left.write_bytes(b"")
    command = ("backups", "--resume", left.name, *more)
    assert cli(*command, DIGITALOCEAN_ACCESS_TOKEN="").code == 2
    assert list(cli.directory.iterdir()) == [left]
    assert cli(*command).code == 0
    assert left.exists() == bool(more)


def test_an_export_can_be_completed_into_another_file(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """--resume with -o completes an export into another file, and leaves the one it reads."""
    first, second = droplet_ids[:2]
    cli("backups", "-f", "jsonl", "-o", "a.jsonl", str(first))
    before = (cli.directory / "a.jsonl").read_bytes()
    simulator.reset_log()
    done = cli("backups", "--resume", "a.jsonl", "-o", "b.jsonl", str(first), str(second))
    assert (done.code, asked(simulator)) == (0, [second])
    assert ids_in(cli.directory / "b.jsonl") == [first, second]
    assert (cli.directory / "a.jsonl").read_bytes() == before


def test_an_invalid_export_is_not_resumed(cli: Cli, simulator: Simulator) -> None:
    """A file that is not an export is refused by its line, stays as it is, and nothing is asked."""
    other = cli.directory / "other.jsonl"
    other.write_text('{"droplet_id": 1}\n{}\n')
    done = cli("backups", "--resume", "other.jsonl")
    assert done.code == 2
    assert "line 1 of other.jsonl is not what `backups --format jsonl` writes" in done.told()
    assert other.read_text() == '{"droplet_id": 1}\n{}\n'
    assert simulator.received == 0
    assert list(cli.directory.iterdir()) == [other]


async def test_results_that_are_there_when_it_is_interrupted_are_taken() -> None:
    """A run that is cancelled takes the results that are there before it ends."""
    loop, taken = asyncio.get_running_loop(), list[int]()
    run: Run[int] = Run(taken.append)
    asked = asyncio.Event()

    async def ask(droplet_id: int) -> int:
        if droplet_id == 3:
            asked.set()
            await asyncio.Event().wait()
        await asked.wait()
        return droplet_id

    def take(result: int) -> None:
        run.take(result, result, None)

    def interrupt_it() -> None:
        work.cancel()

    results = FanOut([1, 2, 3], ask)
    work = asyncio.create_task(run.take_all(results, take))
    await asked.wait()
    loop.call_soon(interrupt_it)
    with suppress(asyncio.CancelledError):
        await work
    assert sorted(taken) == [1, 2]
    assert run.missing == [3]
    assert run.tally.total == 3
