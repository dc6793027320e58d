"""What a user gets wrong: one clear line on stderr, exit code 2, nothing asked, nothing written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gradient_async
from gradient_async.cli import main
from gradient_async.testing import Simulator

from .commands import COMMAND, CONTROL, Cli, environment


@pytest.fixture(autouse=True)
def in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is found or left by chance."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a token, and an API that must not be asked."""
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "a-token")
    monkeypatch.setenv("GRADIENT_BASE_URL", "http://127.0.0.1:9")


def told(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run a command that is refused, and give its one line."""
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert not CONTROL.search(err)
    assert "Traceback" not in err
    return err.rstrip("\n")


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["backups", "abc"], "'abc' is no Droplet ID: a whole number from 1"),
        (["backups", "0"], "'0' is no Droplet ID"),
        (["backups", "1/../account"], "is no Droplet ID"),
        (["backups", "\uff11\uff12"], "is no Droplet ID"),
        (["backups", "--format", "xml"], "'xml' is not one of 'table', 'json', 'jsonl', 'csv'"),
        (["backups", "--columns", "droplet_id,colour"], "no column 'colour': there are droplet_id"),
        (["backups", "--columns", "error,error"], "is no list of different names"),
        (["backups", "-f", "json", "--columns", "error"], "--columns is for table and csv"),
        (["backups", "--concurrency", "0"], "'--concurrency'"),
        (["backups", "--deadline", "soon"], "'soon' is no time span such as 90s"),
        (["backups", "--deadline", "0s"], "'0s' is no time span"),
        (["backups", "--deadline", "90"], "'90' has no unit: write 90s, 90m, 90h or 90d"),
        (["audit", "--max-age", "26"], "'26' has no unit: write 26s, 26m, 26h or 26d"),
        (["audit", "--grace", "1.5"], "'1.5' has no unit: write 1.5s, 1.5m, 1.5h or 1.5d"),
        (["audit", "--max-age", "1d12"], "'1d12' is no time span such as 90s, 15m, 26h or 1d12h"),
        (["backups", "--simulate", "--base-url", "http://[::1]"], "so --base-url cannot be given"),
        (["backups", "--base-url", "http://api.example.com"], "would send the token in clear text"),
        (["backups", "--base-url", "api.example.com"], "base_url must be an https:// URL"),
        (["backups", "--token-file", "no-such-file"], "cannot read the token file no-such-file"),
        (["backups", "--resume", "none.jsonl"], "cannot resume none.jsonl: there is no such file"),
        (["backups", "--resume", "none.jsonl", "-f", "csv"], "--resume writes jsonl"),
        (["backups", "--resume", "a.jsonl", "--columns", "error"], "and --resume writes jsonl"),
        (["backups", "--output", "no/such/directory"], "cannot write to no/such/directory: No"),
        (["backups", "--output", f"{__file__}/out"], "out: Not a directory"),
        (["backups", "--output", "."], "cannot write to .: Is a directory"),
        (["backups", "--output", "/"], "cannot write to /: Is a directory"),
        (["audit", "--html", "/"], "cannot write to /: Is a directory"),
        (["backups", "--plan", "fastest"], "'fastest' is not one of 'auto', 'joined', 'per_dr"),
        (["backups", "--type", "gpu"], "'gpu' is not one of 'gpus', 'droplets'"),
        (["backups", "7", "--tag-name", "a"], "are for a whole account: give no IDs"),
        (["audit", "7", "--dry-run"], "are for a whole account: give no IDs"),
        (["audit", "--type", "gpus", "--tag-name", "a"], "by --type or by --tag-name, not by both"),
        (["backups", "--dry-run", "--plan", "joined"], "--dry-run compares the plans"),
        (["audit", "--fail-on", "tired"], "no finding 'tired': there are unknown_plan, short"),
        (["audit", "--max-age", "-1h"], "'-1h' is no time span"),
        (["audit", "--max-age", "9999999999d"], "'--max-age': '9999999999d' is no time span"),
        (["audit", "--max-age", "0.0000001s"], "'--max-age': '0.0000001s' is no time span"),
        (["audit", "--grace", "4000000d"], "'--grace': '4000000d' is no time span"),
        (["backups", "--deadline", "36526d"], "'--deadline': '36526d' is no time span"),
        (["policies", "--deadline", "9" * 400 + "s"], "of at most 36525d"),
        (["simulate", "--limit", "many"], "'many' is no rate limit such as 250/60"),
        (["simulate", "--limit", "9" * 5000 + "/60"], "is no rate limit such as 250/60"),
        (["simulate", "--limit", "250/" + "9" * 400], "is no rate limit such as 250/60"),
        (["simulate", "--droplets", "100001"], "'--droplets'"),
        (["simulate", "--port", "70000"], "'--port'"),
        (["restore"], "No such command 'restore'"),
        (["backups", "--token", "secret"], "No such option"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    args: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Wrong usage is told in one line that names what is wrong and what would be right."""
    assert expected in told(capsys, *args)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["backups", "policies", "supported-policies", "audit"])
def test_a_missing_token_says_what_to_set(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a token, one line names the variable to set and two options that do without."""
    line = told(capsys, command)
    assert "set the environment variable DIGITALOCEAN_ACCESS_TOKEN" in line
    assert "--token-file" in line
    assert "--simulate" in line


def test_token_files_that_hold_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A token file that is empty, not text or of two lines is refused without being shown."""
    for content, expected in (
        (b"\n", "is empty"),
        (b"\xff\xfe", "not a text file"),
        (b"secret\nand-more\n", "the access token has a line break"),
    ):
        (tmp_path / "token").write_bytes(content)
        line = told(capsys, "backups", "--token-file", "token")
        assert expected in line
        assert "secret" not in line


def test_the_token_is_read_from_a_file(cli: Cli, simulator: Simulator) -> None:
    """--token-file wins over the variable, and white space around the token is stripped."""
    (cli.directory / "token").write_text(f"\n {simulator.token}\n")
    done = cli("supported-policies", "--token-file", "token", DIGITALOCEAN_ACCESS_TOKEN="wrong")
    assert done.code == 0


def test_a_wrong_token_and_an_api_out_of_reach_are_code_3(cli: Cli) -> None:
    """A wrong token or an API out of reach exits with 3 and leaves no file."""
    done = cli("backups", DIGITALOCEAN_ACCESS_TOKEN="wrong")
    assert (done.code, done.out) == (3, "")
    assert "401 unauthorized" in done.told()
    done = cli("audit", "-o", "out", GRADIENT_BASE_URL="http://127.0.0.1:9")
    assert (done.code, done.out) == (3, "")
    assert "Cannot connect" in done.told()
    assert list(cli.directory.iterdir()) == []


def test_a_wrong_token_is_to_be_checked_where_it_was_read(cli: Cli) -> None:
    """The error of a wrong token names the file or the variable that it was read from."""
    (cli.directory / "tk").write_text("wrong")
    refused = "401 unauthorized: Unable to authenticate you"
    for command in (("backups",), ("policies", "7")):
        line = cli(*command, "--token-file", "tk").told()
        assert line.startswith(f"{refused}: check the token in tk (GET http://127.0.0.1:")
        assert "ACCESS_TOKEN" not in line
        line = cli(*command, DIGITALOCEAN_ACCESS_TOKEN="wrong").told()
        assert line.startswith(f"{refused}: check DIGITALOCEAN_ACCESS_TOKEN (GET ")
        assert "`access_token`" not in line


def test_debug_shows_the_traceback(cli: Cli) -> None:
    """--debug prints the traceback before the line that tells the error."""
    done = cli("backups", "--debug", "--token-file", "none")
    assert done.code == 2
    assert "Traceback (most recent call last)" in done.err
    assert "FileNotFoundError" in done.err
    assert done.err.splitlines()[-1].startswith("gradient-async: cannot read the token file")


def test_an_error_that_concerns_all_named_droplets_is_told_once(cli: Cli) -> None:
    """A wrong token is told once, and not for each Droplet that is named."""
    done = cli("policies", "7", "8", DIGITALOCEAN_ACCESS_TOKEN="wrong")
    assert (done.code, done.out) == (3, "")
    assert "401 unauthorized" in done.told()


def test_a_port_that_is_taken(cli: Cli, simulator: Simulator) -> None:
    """The simulator tells in one line that its port is taken."""
    port = simulator.url.rpartition(":")[2]
    done = cli("simulate", "--port", port)
    assert done.code == 2
    assert done.told().startswith(f"gradient-async: cannot listen on port {port}: ")


def test_a_bug_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception is told in one line that mentions --debug, and exits with 70."""

    def broken(**_: object) -> int:
        raise ZeroDivisionError("by\x1b zero")

    monkeypatch.setattr("gradient_async.cli.demo.serve", broken)
    assert main(["simulate"]) == 70
    assert capsys.readouterr().err.splitlines() == [
        "gradient-async: unexpected ZeroDivisionError('by\\x1b zero'); --debug shows where"
    ]


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments the help is shown: the commands, the exit codes and shell completion."""
    assert main([]) == 0
    shown = capsys.readouterr().out
    for expected in ("supported-policies", "Exit codes:", "_GRADIENT_ASYNC_COMPLETE=bash_source"):
        assert expected in shown


@pytest.mark.parametrize(
    "command", ["backups", "policies", "supported-policies", "audit", "simulate"]
)
def test_each_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each command has an example of its use."""
    assert main([command, "--help"]) == 0
    examples = capsys.readouterr().out.partition("Example")[2]
    assert f"gradient-async {command}" in examples


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the version of the package."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gradient-async, version {gradient_async.__version__}\n"


def test_the_installed_script_completes_its_commands() -> None:
    """The installed script completes the names of its commands in a shell."""
    script = shutil.which("gradient-async", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("the package is not installed beside this Python")
    run = subprocess.run(
        [script],
        env={
            "_GRADIENT_ASYNC_COMPLETE": "bash_complete",
            "COMP_WORDS": "gradient-async su",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "plain,supported-policies\n"


@pytest.mark.parametrize("asked", [["backups", "--help"], ["--version"], []], ids=" ".join)
def test_help_to_a_reader_that_went_away(asked: list[str]) -> None:
    """As what else is written to a pipe that nobody reads, it ends with the code of SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, *asked], stdout=writer, stderr=subprocess.PIPE, env=environment(), check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_help_loads_neither_the_http_client_nor_the_terminal_library() -> None:
    """The help is shown without importing aiohttp, asyncio, rich, msgspec or plotly."""
    code = (
        "import sys; from gradient_async.cli import main; main(['backups', '--help']);"
        "print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "asyncio", "rich", "msgspec", "plotly"} & set(run.stderr.split())


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_a_missing_extra_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without click or rich, one line tells to install the extra of the command line."""
    for name in [name for name in sys.modules if name.startswith("gradient_async.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["policies", "--simulate"]) == 2
    assert (
        f"{missing} is not installed: pip install 'gradient-async[cli]'" in capsys.readouterr().err
    )


def test_another_module_that_is_missing_is_no_matter_of_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing module that the extra does not bring is an ordinary import error."""

    def broken(**_: object) -> int:
        raise ModuleNotFoundError("No module named 'zlib'", name="zlib")

    monkeypatch.setattr("gradient_async.cli.demo.serve", broken)
    with pytest.raises(ModuleNotFoundError, match="zlib"):
        main(["simulate"])
