"""Files are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import termios
from io import StringIO
from pathlib import Path

import pytest
from thread_helpers import until

from gradient_async.cli.options import Destination
from gradient_async.cli.output import FileOutput, open_output, written_to
from gradient_async.cli.problems import Problem
from gradient_async.cli.resume import Resumed
from gradient_async.testing import Simulator

from .commands import Cli, Finished, ended, environment


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    """A file is written under its partial name and gets its own name when it is complete."""
    output = FileOutput(tmp_path / "out")
    output.stream.write("text\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial"]
    assert output.finish() == str(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "text\n"


def test_a_file_that_exists_is_replaced_only_if_forced(tmp_path: Path) -> None:
    """A forced replacement keeps permissions and links; without force it is refused."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    with pytest.raises(Problem, match="link exists; --force replaces it"):
        FileOutput(link)
    output = FileOutput(link, replace=True)
    output.stream.write("new")
    assert real.read_text() == "old"
    output.finish()
    assert (real.read_text(), link.is_symlink()) == ("new", True)
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_a_partial_file_of_another_run_is_not_overwritten(tmp_path: Path) -> None:
    """A partial file that exists is refused, unless it is explicitly begun anew."""
    (tmp_path / "out.partial").write_text("hours of work")
    with pytest.raises(Problem, match=r"`backups --resume .*out\.partial` continues it"):
        FileOutput(tmp_path / "out")
    FileOutput(tmp_path / "out", partial="overwrite").abandon(keep=False)
    assert list(tmp_path.iterdir()) == []


def write_half(output: FileOutput, *, keep: bool) -> None:
    """Write something, and then fail."""
    with written_to(output, keep=keep):
        output.stream.write("half")
        raise ZeroDivisionError


def test_an_error_leaves_the_old_file_and_no_part_of_the_new(tmp_path: Path) -> None:
    """After an error the old file is as it was, and the new part is kept only if that is wanted."""
    path = tmp_path / "out"
    path.write_text("old")
    for keep, left in ((False, {"out"}), (True, {"out", "out.partial"})):
        output = FileOutput(path, replace=True)
        with pytest.raises(ZeroDivisionError):
            write_half(output, keep=keep)
        assert path.read_text() == "old"
        assert {entry.name for entry in tmp_path.iterdir()} == left


def test_what_is_not_complete_keeps_its_partial_name(tmp_path: Path) -> None:
    """Output that is not complete is kept under its partial name only."""
    path, partial = tmp_path / "out", tmp_path / "out.partial"
    output = FileOutput(path)
    output.stream.write("1\n")
    assert output.keep_partial() == str(partial)
    assert list(tmp_path.iterdir()) == [partial]
    assert partial.read_text() == "1\n"


def test_lines_are_appended_to_what_was_begun_before(tmp_path: Path) -> None:
    """A partial file of before is appended to, and stays when the run is given up."""
    path, partial = tmp_path / "out", tmp_path / "out.partial"
    partial.write_text("1\n")
    output = FileOutput(path, partial="append")
    output.stream.write("2\n")
    output.keep_partial()
    FileOutput(path, partial="append").abandon(keep=False)
    assert partial.read_text() == "1\n2\n"
    FileOutput(path, partial="append").finish()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "1\n2\n"


def test_a_dash_is_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash is stdout, and so is no path, whatever object ``sys.stdout`` is."""
    assert open_output(Path("-"), force=False).name == "stdout"
    monkeypatch.setattr("sys.stdout", StringIO())
    output = open_output(None, force=False)
    output.stream.write("─")
    assert (output.finish(), output.stream) == ("", sys.stdout)


def test_a_device_is_written_to_directly(tmp_path: Path) -> None:
    """A device is written to directly, and neither replaced nor removed at the end."""
    for end in (FileOutput.finish, FileOutput.keep_partial):
        output = FileOutput(Path("/dev/null"))
        output.stream.write("text")
        assert end(output) == "/dev/null"
    FileOutput(Path("/dev/null")).abandon(keep=False)
    assert Path("/dev/null").is_char_device()


def test_an_export_that_goes_away_before_it_is_read(tmp_path: Path) -> None:
    """An export that has gone before it is read is told in a line, and no output is left."""
    with pytest.raises(Problem, match=r"cannot read .*gone\.jsonl: No such file"):
        Resumed(tmp_path / "gone.jsonl").open(Destination(path=tmp_path / "out.jsonl"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args", [["-o", "/dev/full"], ["-f", "jsonl", "-o", "/dev/full"]], ids=["table", "jsonl"]
)
def test_a_full_disk_is_told_in_one_line(cli: Cli, args: list[str]) -> None:
    """A write error is told in one line with the name of the output, and exits with 2."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = cli("supported-policies", *args)
    assert (done.code, done.out) == (2, "")
    assert done.told() == "gradient-async: cannot write to /dev/full: No space left on device"


@pytest.mark.parametrize("command", ["backups", "policies", "supported-policies", "audit"])
def test_a_closed_stdout_is_told_before_anything_is_asked(cli: Cli, command: str) -> None:
    """With stdout closed a command is refused before it asks, unless it writes to a file."""
    done = shell(cli, f"{command} >&-")
    assert (done.code, cli.simulator.received) == (2, 0)
    line = "gradient-async: cannot write to stdout: it is closed; --output names a file"
    assert done.told() == line
    done = shell(cli, f"{command} -o out >&-")
    assert done.code == (1 if command == "audit" else 0)
    assert (cli.directory / "out").stat().st_size > 0


@pytest.mark.parametrize("command", ["backups", "policies", "supported-policies", "audit"])
def test_a_closed_stderr_is_no_error(cli: Cli, command: str) -> None:
    """With stderr closed the output and the exit code are the same, and nothing is told."""
    expected = 1 if command == "audit" else 0
    for streams in ("2>&-", "<&- 2>&-"):
        done = shell(cli, f"{command} {streams}")
        assert (done.code, done.out.count("\n") > 3) == (expected, True)
    for streams in ("2>&-", "<&- >&- 2>&-"):
        done = shell(cli, f"{command} -o out --force {streams}")
        assert (done.code, done.out, done.err) == (expected, "", "")
        assert (cli.directory / "out").read_text().count("\n") > 3
    assert shell(cli, f"{command} -o out 2>&-").code == 2
    assert shell(cli, f"{command} --unknown 2>&-").code == 2


def shell(cli: Cli, command: str) -> Finished:
    """Run a command that a shell gives its streams."""
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m gradient_async {command}'],
        cwd=cli.directory,
        env=environment(cli.simulator),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def test_a_link_to_a_directory_is_refused(cli: Cli) -> None:
    """An output that is a link to a directory is refused like the directory."""
    (cli.directory / "link").symlink_to("/")
    done = cli("supported-policies", "-o", "link", "--force")
    assert done.code == 2
    assert done.told() == "gradient-async: cannot write to link: Is a directory"


@pytest.mark.parametrize("args", [[], ["7"]], ids=["all went well", "a Droplet failed"])
def test_a_full_disk_behind_stderr_changes_no_exit_code(
    cli: Cli, tmp_path: Path, args: list[str]
) -> None:
    """When stderr cannot be written, the exit code and the output file are the same."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = shell(cli, f"backups {' '.join(args)} -f csv -o out.csv 2>/dev/full")
    assert done.code == len(args)
    assert (tmp_path / "out.csv").read_text().startswith("droplet_id,")


@pytest.mark.parametrize("kind", ["table", "csv"])
def test_a_full_disk_behind_stdout_is_told_in_one_line(cli: Cli, kind: str) -> None:
    """A full disk behind stdout is told once, and not again when the interpreter ends."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with (
        Path("/dev/full").open("w") as full,
        cli.start("supported-policies", "-f", kind, stdout=full) as process,
    ):
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err == "gradient-async: cannot write to stdout: No space left on device\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a pipe")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stop_while_a_reader_is_slow_loses_nothing(cli: Cli, unbuffered: str) -> None:
    """A command that is stopped and continued while a pipe is full writes all the same."""
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    args = ("audit", "--format", "json", "--fail-on", "error")
    with cli.start(*args, stdout=writing, PYTHONUNBUFFERED=unbuffered) as process:
        os.close(writing)
        until(lambda: waiting_in(reading) == size)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        process.send_signal(signal.SIGCONT)
        with open(reading, encoding="utf-8") as pipe:
            assert len(json.loads(pipe.read())["droplets"]) == 24
        assert ended(process).code == 0


def waiting_in(pipe: int) -> int:
    """Give the number of bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


UNBUFFERED = """
import io, sys
from gradient_async.cli.terminal import buffer_standard_streams
settings = [(stream.encoding, stream.errors) for stream in (sys.stdout, sys.stderr)]
assert isinstance(sys.stdout.buffer, io.RawIOBase)
for _ in range(2):
    buffer_standard_streams()
assert [(stream.encoding, stream.errors) for stream in (sys.stdout, sys.stderr)] == settings
for stream in (sys.stdout, sys.stderr):
    assert isinstance(stream.buffer, io.BufferedWriter)
    assert stream.line_buffering
print("é", flush=True)
sys.stdout, sys.stderr = mine = io.TextIOWrapper(io.FileIO(1, "w", False)), io.StringIO()
buffer_standard_streams()
assert (sys.stdout, sys.stderr) == mine
"""


def test_unbuffered_streams_get_buffers_and_stay_as_they_were() -> None:
    """Both streams of ``python -u`` get a buffer, flushed at each line; those of others do not."""
    done = subprocess.run(
        [sys.executable, "-u", "-X", "dev", "-W", "error", "-c", UNBUFFERED],
        env=environment(PYTHONIOENCODING="latin-1"),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "é\n".encode("latin-1"), b"")


def test_an_output_that_exists_is_refused_before_anything_is_asked(
    cli: Cli, simulator: Simulator
) -> None:
    """An output that exists is refused before anything is asked; with --force it is replaced."""
    out = cli.directory / "out"
    out.write_text("old")
    done = cli("supported-policies", "-o", "out")
    assert (done.code, simulator.received) == (2, 0)
    assert done.told() == "gradient-async: out exists; --force replaces it"
    done = cli("supported-policies", "-o", "out", "-f", "csv", "--force")
    assert (done.code, done.out) == (0, "")
    assert out.read_text().startswith("name,possible_window_starts,")


@pytest.mark.parametrize(("answer", "code", "kept"), [("y\n", 0, False), ("n\n", 2, True)])
def test_on_a_terminal_it_is_asked_whether_to_replace(
    cli: Cli, answer: str, code: int, kept: bool
) -> None:
    """On a terminal a person is asked whether to replace a file that exists."""
    out = cli.directory / "out"
    out.write_text("old")
    ended, shown = cli.on_terminal("supported-policies", "-o", "out", keys=answer)
    assert ended == code
    assert "out exists. Replace it? [y/N]" in shown
    assert (out.read_text() == "old") is kept
