"""What a person sees: the bar, colours, what fits; and what is never seen in a pipe."""

from __future__ import annotations

import re
import subprocess

import pytest

from gradient_async.testing import Fault, Simulator

from .commands import COMMAND, CONTROL, Cli, environment

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;[\d;]+)m")
PER_DROPLET = ("backups", "--plan", "per_droplet")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain(shown: str) -> list[str]:
    """Give the lines that stay when the bar is gone, without colours."""
    after_bar = shown.rpartition("\x1b[?25h")[2]
    return [ESCAPE.sub("", line).strip() for line in after_bar.split("\r\n")]


@pytest.fixture
def slow(simulator: Simulator, droplet_ids: list[int]) -> None:
    """One Droplet's answer comes when the test lets it."""
    simulator.faults.add(Fault.hold(), path=rf"/{droplet_ids[0]}/backups$")


@pytest.mark.usefixtures("slow")
def test_the_bar_shows_how_far_it_is_and_goes_away(cli: Cli, simulator: Simulator) -> None:
    """The bar shows done and total; at the end only the table and the sums are there."""
    code, shown = cli.on_terminal(
        *PER_DROPLET, when=lambda shown: "23/24" in shown, then=simulator.release
    )
    assert code == 0
    assert "Backups" in shown
    assert "━" in shown
    assert re.search(r"23/24 · .*\d/s", shown)
    lines = plain(shown)
    assert lines[0].startswith("droplet ")
    assert len(lines) == 2 + 24 + 2  # with the sums, and nothing after the last line's end
    assert lines[-2].startswith("24 Droplets · ")


@pytest.mark.usefixtures("slow")
def test_the_bar_shows_failures(cli: Cli, simulator: Simulator, droplet_ids: list[int]) -> None:
    """The bar counts failures in red as soon as they happen."""
    simulator.faults.add(Fault.status(404), path=rf"/{droplet_ids[1]}/backups$", times=None)
    code, shown = cli.on_terminal(
        *PER_DROPLET, when=lambda shown: "1 failed" in shown, then=simulator.release
    )
    assert code == 1
    assert re.search(r"\x1b\[31m( · )?1 failed", shown)


@pytest.mark.parametrize("command", ["backups", "audit"])
def test_the_bar_shows_that_listings_are_read(cli: Cli, simulator: Simulator, command: str) -> None:
    """While listings are read the bar shows how many requests that took, and no Droplets."""
    simulator.faults.add(Fault.hold(), path="/v2/images$", after=1)
    _, shown = cli.on_terminal(
        command,
        "--plan",
        "joined",
        when=lambda shown: re.search(r"reading listings: [2-9] requests", shown) is not None,
        then=simulator.release,
    )
    assert "0/24" not in ESCAPE.sub("", shown)
    assert plain(shown)[-2].startswith("24 Droplets · ")


def test_the_bar_shows_until_when_the_rate_limit_pauses(cli: Cli, simulator: Simulator) -> None:
    """During a pause of the rate limit the bar shows the local time at which it ends."""
    simulator.faults.add(Fault.rate_limited("1"), path="/backups$", after=5)
    code, shown = cli.on_terminal(*PER_DROPLET, "--concurrency", "2")
    assert code == 0
    assert re.search(r"rate limit: waits until \d\d:\d\d:\d\d", shown)


def test_no_bar_when_none_is_wanted(cli: Cli) -> None:
    """With --no-progress a terminal shows nothing but the table and the sums."""
    code, shown = cli.on_terminal("backups", "--no-progress")
    assert code == 0
    assert "━" not in shown
    assert "\x1b[?25l" not in shown


def test_no_colour_when_none_is_wanted(
    cli: Cli, simulator: Simulator, droplet_ids: list[int]
) -> None:
    """NO_COLOR takes the colours out of the bar, the table and the messages."""
    simulator.faults.add(Fault.status(404), path=rf"/{droplet_ids[1]}/backups$", times=None)
    _, coloured = cli.on_terminal(*PER_DROPLET)
    _, plain = cli.on_terminal(*PER_DROPLET, NO_COLOR="1")
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)


def test_findings_have_colours(cli: Cli) -> None:
    """Findings are coloured by severity: red if they are urgent, green if all is well."""
    code, shown = cli.on_terminal("audit", "--all", "--no-progress")
    assert code == 1
    for colour, finding in ((31, "never"), (31, "overdue"), (32, "ok")):
        assert re.search(rf"\x1b\[{colour}m{finding} *\x1b\[0m", shown)


def test_in_a_pipe_there_are_no_control_characters_even_if_forced(cli: Cli) -> None:
    """Output into a pipe has no control characters, not even with FORCE_COLOR."""
    done = cli("backups", FORCE_COLOR="1", CLICOLOR_FORCE="1")
    assert not CONTROL.search(done.out + done.err)


@pytest.mark.parametrize("width", [24, 60])
def test_a_table_fits_into_a_narrow_terminal(cli: Cli, width: int) -> None:
    """A narrow terminal gets fewer columns and no broken line, and always the ID."""
    _, shown = cli.on_terminal("backups", "--no-progress", width=width)
    table = [line for line in plain(shown) if re.match(r"\d{9}|droplet|─", line)]
    assert len(table) == 2 + 24
    assert max(map(len, table)) <= width


@pytest.mark.parametrize("command", [("backups",), ("audit",), ("supported-policies",)])
def test_columns_that_are_left_out_are_told_on_a_terminal(cli: Cli, command: tuple[str]) -> None:
    """A terminal is told in one line that columns are left out, a pipe never is."""
    _, shown = cli.on_terminal(*command, "--no-progress", width=40)
    [told] = [line for line in plain(shown) if "left out" in line]
    assert re.fullmatch(
        r"\d columns? left out: widen the terminal, or use --columns or --format csv", told
    )
    _, shown = cli.on_terminal(*command, "--no-progress", width=200)
    assert "left out" not in shown
    done = cli(*command, COLUMNS="40")
    assert "left out" not in done.out + done.err


@pytest.mark.usefixtures("slow")
def test_a_bar_fits_into_a_narrow_terminal(cli: Cli, simulator: Simulator) -> None:
    """In a narrow terminal the bar stays one line, with done and total in it."""
    code, shown = cli.on_terminal(
        *PER_DROPLET, width=32, when=lambda shown: "23/24" in shown, then=simulator.release
    )
    assert code == 0
    bars = [line for line in re.split(r"[\r\n]", ESCAPE.sub("", shown)) if line.startswith("Back")]
    assert max(map(len, bars)) <= 32


def test_a_terminal_that_cannot_gets_no_bar(cli: Cli) -> None:
    """With TERM=dumb there is no bar and no escape sequence."""
    code, shown = cli.on_terminal("policies", TERM="dumb")
    assert code == 0
    assert "\x1b" not in shown


def test_letters_that_stdout_cannot_write_are_no_error(cli: Cli) -> None:
    """A letter that the encoding of stdout lacks is escaped, and rules and dots are in ASCII."""
    droplet = next(iter(cli.simulator.fleet.droplets.values()))
    cli.simulator.fleet.add_backup(droplet.id, name="日本")
    for encoding, dot in (("ascii", b"-"), ("cp1252", b"\xb7")):
        done = subprocess.run(
            [*COMMAND, "audit", "--all", "--columns", "droplet_id,newest_name"],
            env=environment(cli.simulator, PYTHONIOENCODING=encoding, PYTHONUTF8="0"),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        _, figures, _, _, rule, *_ = done.stdout.splitlines()
        assert b" protected " + dot + b" " in figures
        assert set(rule) == set(b"- ")
        assert b"\\u65e5\\u672c" in done.stdout
        assert b"24 Droplets " + dot + b" " in done.stderr
