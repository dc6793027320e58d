"""The pure parts: texts, columns, widths, estimates, exports that are read again."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_async import APIConnectionError, RateLimitStatus, WindowStatus
from gradient_async.audit import format_duration
from gradient_async.cli import columns, options, text
from gradient_async.cli.problems import Problem
from gradient_async.cli.progress import Tally, seconds_left, state_of
from gradient_async.cli.resume import finished_lines
from gradient_async.cli.run import Run, failure_lines
from gradient_async.cli.table import GAP, Width, fitting, make_table

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
NO_LIMIT = RateLimitStatus(None, None, None, (), None, 0)


def limited(used: int, limit: int = 250, seconds: float = 60.0) -> RateLimitStatus:
    """Give the status of one window."""
    return attrs.evolve(NO_LIMIT, windows=(WindowStatus(limit, seconds, used, 0),))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(seconds=119.9), "119 s"),
        (-timedelta(seconds=0.9), "0 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=10, hours=23), "10 d"),
        (-timedelta(hours=3), "-3 h"),
    ],
)
def test_time_spans(span: timedelta, expected: str) -> None:
    """A time span is shown in the largest unit of which it has at least two."""
    assert text.short_duration(span) == expected


def test_lists_of_droplets_are_cut_where_a_person_reads_them() -> None:
    """A list of Droplets is cut and counted for a person, and whole without a bound."""
    assert text.named(range(1, 5), most=2) == "1, 2 and 2 more"
    assert text.named(range(1, 5)) == "1, 2, 3, 4"
    assert text.named([], most=2) == ""


@pytest.mark.parametrize(
    ("value", "shown", "exported"),
    [
        (None, "", ""),
        (False, "no", "false"),
        (0, "0", "0"),
        (1234.5, "1,234.50", "1234.5"),
        ([], "", ""),
        ([0, 4], "0 4", "0 4"),
        ("a\x1bb", "a\\x1bb", "a\x1bb"),
        (timedelta(hours=26), "26 h", "93600"),
        (timedelta(seconds=1.9), "1 s", "1"),
        (
            datetime(2026, 9, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2))),
            "2026-09-01 00:03",
            "2026-09-01T00:03:04Z",
        ),
        (
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-2))),
            "9999-12-31 23:59",
            "9999-12-31T23:59:59.999999Z",
        ),
    ],
)
def test_values_in_tables_and_csv(value: object, shown: str, exported: str) -> None:
    """Zero and ``false`` are values; times are UTC; a program gets everything as it was."""
    assert columns.as_text(value) == shown
    assert columns.as_csv(value) == exported


@pytest.mark.parametrize(
    ("given_text", "seconds"),
    [("90s", 90), ("1.5h", 5400), ("15m", 900), ("2d", 172_800), ("1d12h", 129_600)],
)
def test_time_spans_of_options(given_text: str, seconds: float) -> None:
    """A time span is a number with a unit, s, m, h or d, or several of these in a row."""
    assert options.parse_duration(given_text) == seconds


@given(st.timedeltas(timedelta(minutes=1), timedelta(days=36_525)))
def test_time_spans_are_read_as_they_are_told(span: timedelta) -> None:
    """A time span that the command prints can be given to an option and means the same."""
    for tell in (format_duration, text.short_duration):
        read = timedelta(seconds=options.parse_duration(tell(span)))
        assert tell(read) == tell(span)


@pytest.mark.parametrize("given_text", ["26", "0", "1.5", "\uff12\uff16h", "h", "1d12", "1d-1h"])
def test_a_time_span_needs_a_unit(given_text: str) -> None:
    """A time span that lacks a unit or a number is refused."""
    with pytest.raises(click.BadParameter):
        options.parse_duration(given_text)


@given(st.text(max_size=8) | st.from_regex(r"[0-9]{1,400}(\.[0-9]{1,9})?[smhd]?", fullmatch=True))
def test_invalid_time_spans_are_refused(given_text: str) -> None:
    """Any text is a time span of more than nothing and at most a century, or is refused."""
    seconds = 1.0
    with suppress(click.BadParameter):
        seconds = options.parse_duration(given_text)
    assert timedelta() < timedelta(seconds=seconds) <= timedelta(days=36_525)


@given(
    st.lists(
        st.builds(
            lambda floor, more, most, essential: Width(
                floor + more + most, floor + more, essential, floor
            ),
            st.integers(1, 20),
            st.integers(0, 20),
            st.integers(0, 20),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 200),
)
def test_a_table_fits_or_has_one_column_left(widths: list[Width], available: int) -> None:
    """Columns that are kept fit into the line, each between its least and its full width."""
    fitted = fitting(widths, available)
    there = [width for width in fitted if width]
    assert len(there) == 1 or sum(there) + GAP * (len(there) - 1) <= available
    assert there
    for width, given_width in zip(widths, fitted, strict=True):
        assert given_width == 0 or width.floor <= given_width <= width.full
    kept = [width.essential for width, there in zip(widths, fitted, strict=True) if there]
    left_out = [width.essential for width, there in zip(widths, fitted, strict=True) if not there]
    assert not any(left_out) or all(kept)


def lines_of(rows: list[dict[str, Any]], available: int | None = None, **looks: Any) -> list[str]:
    """Give a table of two columns, the second of which may be cut."""
    shown = (
        columns.Column[dict[str, Any]]("first", lambda row: row.get("a"), right=True),
        columns.Column[dict[str, Any]]("second", lambda row: row.get("b"), min_width=4),
    )
    return list(make_table(shown, rows, available, **looks).lines(colour=False))


def test_a_table_is_aligned_by_what_is_seen() -> None:
    """A table counts a wide letter as two places and aligns numbers to the right."""
    assert lines_of([{"a": 1, "b": "日本"}, {"a": 10_000, "b": "x"}]) == [
        "first  second",
        "─────  ──────",
        "    1  日本",
        "10000  x",
    ]


def test_what_is_cut_shows_it() -> None:
    """A cell that is cut to fit ends with an ellipsis."""
    assert lines_of([{"a": 1, "b": "abcdefghij"}], 12)[2] == "    1  abcd…"


def test_an_empty_column_is_left_out_unless_it_was_asked_for() -> None:
    """A column without values is left out of a table unless it was chosen or there are no rows."""
    assert lines_of([{"a": 1}])[0] == "first"
    assert lines_of([{"a": 1}], chosen=True)[0] == "first  second"
    assert lines_of([]) == ["first  second", "─────  ──────"]


def test_the_rest_takes_as_long_as_the_pace_so_far_tells() -> None:
    """Without a limit the time left is that of the pace so far, unknown where there is none."""
    assert seconds_left(100, 50.0, NO_LIMIT, NOW) == 2.0
    assert seconds_left(100, 0.0, NO_LIMIT, NOW) is None


@pytest.mark.parametrize(
    ("left", "used", "expected"),
    [(100, 0, 1.0), (250, 250, 60.0), (251, 250, 120.0), (5000, 250, 1200.0)],
)
def test_the_rest_takes_as_long_as_the_limit_demands(left: int, used: int, expected: float) -> None:
    """With a limit the time left is at least what the limit takes, however fast the first burst."""
    assert seconds_left(left, 100.0, limited(used), NOW) == expected


def test_a_pause_is_the_beginning_of_the_rest() -> None:
    """The time left counts from the end of a pause, with the windows that are needed after it."""
    paused = attrs.evolve(limited(250), paused_until=NOW + timedelta(seconds=10), waiting=3)
    assert seconds_left(251, 100.0, paused, NOW) == 70.0


def test_the_state_beside_the_bar() -> None:
    """The bar tells progress, failures, a pause, the pace and the time left, in this order."""
    assert state_of(Tally(), 0.0, NO_LIMIT, NOW) == ["0"]
    paused = attrs.evolve(limited(250), paused_until=NOW + timedelta(seconds=10), waiting=3)
    parts = state_of(Tally(250, 2, lambda: 300), 5.0, paused, NOW)
    assert parts[:2] == ["250/300", "2 failed"]
    assert parts[2].startswith("rate limit: waits until ")
    assert parts[3:] == ["50/s", "10 s left"]
    assert state_of(Tally(3, 0, lambda: 3), 5.0, NO_LIMIT, NOW) == ["3/3", "0.6/s"]


def test_the_state_while_listings_are_read() -> None:
    """While listings are read the bar counts requests, from the first result on Droplets."""
    reading = Tally(0, 0, lambda: 900, listing=True)
    assert state_of(reading, 5.0, NO_LIMIT, NOW) == ["reading listings"]
    assert state_of(reading, 5.0, limited(31), NOW) == ["reading listings: 31 requests"]
    reading.count(failed=False)
    assert state_of(reading, 5.0, limited(31), NOW)[0] == "1/900"


def line(droplet_id: int, **changes: object) -> bytes:
    """Give a line of an export."""
    entry = {"droplet_id": droplet_id, "backups": [{"id": 1}], "error": None}
    return json.dumps(entry | changes).encode() + b"\n"


def finished(*lines: bytes) -> list[int]:
    """Name the Droplets that an export need not be asked for again."""
    return [found.droplet_id for found in finished_lines(lines, "out.jsonl")]


def test_droplets_of_an_export_need_not_be_asked_for_again() -> None:
    """Finished Droplets of an export are those without an error, each once, without empty lines."""
    failed = line(2, backups=[], error={"type": "APIError"})
    assert finished(line(1), b"\n", failed, line(3), line(1)) == [1, 3]


@given(st.integers(0, len(line(7)) - 1))
def test_a_line_that_was_cut_off_anywhere_is_asked_for_again(end: int) -> None:
    """A cut-off last line does not count as finished unless only its line end is missing."""
    assert finished(line(1), line(7)[:end]) == ([1, 7] if end == len(line(7)) - 1 else [1])


def test_lines_stay_as_they_were() -> None:
    """The lines of an export are kept byte for byte, except for the end of the line."""
    [kept] = finished_lines([line(1).strip() + b"\r\n"], "out.jsonl")
    assert kept.line == line(1).strip()


@pytest.mark.parametrize(
    "wrong",
    [
        b"{}\n",
        b"[]\n",
        b"droplet,backup\n",
        b'{"droplet_id": "1"}\n',
        b"\xff\n",
        b'{"droplet_id": 2, "backups": [{"name": "\xff"}], "error": null}\n',
    ],
)
def test_an_invalid_export_is_refused_by_line(wrong: bytes) -> None:
    """A line that is not one of an export is refused by its number."""
    with pytest.raises(Problem, match=r"line 2 of out\.jsonl is not what"):
        finished(line(1), wrong, line(2))


def test_only_so_many_failures_are_told_on_a_terminal() -> None:
    """A bound on the failures that are told has the others counted; without one all are told."""
    run: Run[None] = Run(lambda _: None)
    for droplet_id in range(1, 5):
        run.take(droplet_id, None, APIConnectionError("reset"), "gpu" if droplet_id == 1 else None)
    assert list(failure_lines(run, most=2, token="")) == [
        "Droplet 1 (gpu) failed: reset",
        "Droplet 2 failed: reset",
        "and 2 more failed",
    ]
    assert len(list(failure_lines(run, most=None, token=""))) == 4


@pytest.mark.parametrize(
    ("account", "arguments"),
    [
        (options.Account(), []),
        (options.Account(tag_name="env:prod", plan="joined"), ["--tag-name", "env:prod"]),
        (options.Account(type="droplets"), ["--type", "droplets"]),
    ],
)
def test_the_rest_is_asked_for_with_the_same_choice(
    account: options.Account, arguments: list[str]
) -> None:
    """The choice of Droplets becomes the arguments that continue an export with the same ones."""
    assert account.arguments() == arguments
