"""From bytes to response classes: the fast way, the lenient way, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import (
    Answer,
    answer_classes,
    answers,
    aware_times,
    backups,
    damaged,
    encoded,
    json_values,
    naive_times,
    payloads,
    with_unknown_fields,
)

from gradient_async import _structure
from gradient_async._structure import DecodeFailure, decode, decode_any
from gradient_async.types import (
    Backup,
    BackupListPoliciesResponse,
    BackupListResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
    DropletListResponse,
    PageLinks,
    Pages,
)
from gradient_async.types._model import Model

pytestmark = pytest.mark.usefixtures("fresh_converter")

BACKUP = {
    "id": 67539192,
    "created_at": "2014-11-14T16:44:03Z",
    "min_disk_size": 20,
    "name": "example backup",
    "regions": ["nyc3"],
    "size_gigabytes": 2.34,
    "type": "backup",
}


def listing(**changes: Any) -> bytes:
    """Encode a listing of one backup with some fields changed."""
    return json.dumps({"meta": {"total": 1}, "backups": [{**BACKUP, **changes}]}).encode()


def policy(**fields: Any) -> bytes:
    """Encode the answer with one policy."""
    return json.dumps({"policy": fields}).encode()


def the_backup(content: bytes) -> Backup:
    """Decode a listing of one backup."""
    [backup] = decode(BackupListResponse, content).backups
    return backup


def lenient(cls: type[Model], content: bytes) -> Model:
    """Decode by the lenient way, also what the fast way takes."""
    return _structure._structure(cls, decode_any(content))


def datetimes(value: object) -> list[datetime]:
    """Collect every datetime in plain objects."""
    if isinstance(value, datetime):
        return [value]
    if isinstance(value, dict):
        return [moment for inner in value.values() for moment in datetimes(inner)]
    if isinstance(value, list):
        return [moment for inner in value for moment in datetimes(inner)]
    return []


@given(answers)
def test_both_ways_agree_on_valid_answers(answer: Answer) -> None:
    """The fast and the lenient way give equal objects, down to ``int`` or ``float``."""
    cls, payload = answer
    fast = decode(cls, encoded(payload))
    slow = lenient(cls, encoded(payload))
    assert fast == slow
    assert repr(fast) == repr(slow)


@given(with_unknown_fields())
def test_unknown_fields_change_nothing(answer: Answer) -> None:
    """A field that no class knows is ignored by both ways, wherever it stands."""
    cls, payload = answer
    assert decode(cls, encoded(payload)) == lenient(cls, encoded(payload))


@given(answers)
def test_json_decodes_to_an_equal_object(answer: Answer) -> None:
    """``to_json`` loses nothing: what it gives decodes to an equal object."""
    cls, payload = answer
    decoded = decode(cls, encoded(payload))
    for indent in (None, 2):
        assert decode(cls, decoded.to_json(indent=indent).encode()) == decoded


def attempt(cls: type[Model], content: bytes) -> Model | DecodeFailure:
    """Decode, and give the failure if it is one; any other exception is a defect."""
    try:
        return decode(cls, content)
    except DecodeFailure as failure:
        return failure


def place(result: object) -> str:
    """Give the place that a failure names."""
    assert isinstance(result, DecodeFailure)
    return result.path


@given(answer_classes, json_values)
def test_any_json_is_decoded_or_refused(cls: type[Model], value: Any) -> None:
    """JSON of any shape gives an object of the class or a `DecodeFailure`, and nothing else."""
    result = attempt(cls, encoded(value))
    assert isinstance(result, cls) or place(result).startswith("$")


@given(damaged())
def test_damaged_answers_are_decoded_or_refused(answer: Answer) -> None:
    """An answer with one odd value gives an object, which can be written, or a `DecodeFailure`."""
    cls, payload = answer
    result = attempt(cls, encoded(payload))
    if isinstance(result, cls):
        assert decode(cls, result.to_json().encode()) == result
    else:
        assert place(result).startswith("$")


@given(answer_classes, st.binary(max_size=40))
def test_any_bytes_are_decoded_or_refused(cls: type[Model], content: bytes) -> None:
    """Bytes that need not be JSON, nor even text, raise nothing but a `DecodeFailure`."""
    assert isinstance(attempt(cls, content), (cls, DecodeFailure))


@given(answers, st.data())
def test_truncated_answers_are_refused(answer: Answer, data: st.DataObject) -> None:
    """An answer that breaks off is never taken for a whole one."""
    cls, payload = answer
    content = encoded(payload)
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DecodeFailure, match="no valid JSON"):
        decode(cls, content[:length])


@given(payloads[BackupListResponse] | payloads[BackupListPoliciesResponse])
def test_every_time_is_aware(payload: dict[str, Any]) -> None:
    """Every datetime of an answer has an offset, whichever the API wrote."""
    cls = BackupListPoliciesResponse if "policies" in payload else BackupListResponse
    times = datetimes(decode(cls, encoded(payload)).to_dict())
    assert all(moment.utcoffset() is not None for moment in times)


@given(backups(when=naive_times))
def test_time_without_offset_is_utc(backup: dict[str, Any]) -> None:
    """A time that names no offset is in UTC."""
    created_at = the_backup(listing(**backup)).created_at
    assert created_at == datetime.fromisoformat(backup["created_at"]).replace(tzinfo=UTC)


def test_documented_backup() -> None:
    """A backup as the API documents it comes out with each value in its type."""
    assert the_backup(listing()) == Backup(
        id=67539192,
        created_at=datetime(2014, 11, 14, 16, 44, 3, tzinfo=UTC),
        min_disk_size=20,
        name="example backup",
        regions=["nyc3"],
        size_gigabytes=2.34,
        type="backup",
    )


def test_valid_answers_need_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits the classes is decoded by msgspec alone: that is what makes it fast."""
    monkeypatch.setattr(_structure, "_structure", None)
    assert the_backup(listing()).id == 67539192
    content = policy(backup_enabled=True, backup_policy={"plan": "intra_daily_4h"})
    assert decode(BackupRetrievePolicyResponse, content).policy.backup_enabled is True


@pytest.mark.parametrize("kind", ["backup", "snapshot", "archive", ""])
def test_unknown_kind_of_backup_is_kept(kind: str) -> None:
    """A kind that the API adds later passes through as it came, and breaks no listing."""
    assert the_backup(listing(type=kind)).type == kind


def test_unknown_plan_and_weekday_are_kept() -> None:
    """A plan that nobody has heard of is a plan."""
    content = policy(backup_policy={"plan": "hourly_v2", "weekday": "ANY", "hour": 0})
    decoded = decode(BackupRetrievePolicyResponse, content).policy.backup_policy
    assert decoded is not None
    assert (decoded.plan, decoded.weekday, decoded.hour) == ("hourly_v2", "ANY", 0)


@pytest.mark.parametrize("way", [decode, lenient])
def test_zero_and_false_are_values(way: Any) -> None:
    """Midnight and disabled backups are not mistaken for nothing."""
    content = policy(backup_enabled=False, droplet_id=7, backup_policy={"hour": 0})
    decoded = way(BackupRetrievePolicyResponse, content).policy
    assert decoded.backup_enabled is False
    assert decoded.backup_policy.hour == 0
    assert decoded.next_backup_window is None


def test_open_enumeration_takes_null_from_the_lenient_way() -> None:
    """``null`` for a plan is no plan, also where another field needs the lenient way."""
    fields = {"backup_policy": {"plan": None, "weekday": None, "hour": 2.0}}
    decoded = decode(BackupRetrievePolicyResponse, policy(**fields)).policy.backup_policy
    assert decoded is not None
    assert (decoded.plan, decoded.weekday, decoded.hour) == (None, None, 2)


@pytest.mark.parametrize(
    ("cls", "content", "empty"),
    [
        (BackupListResponse, b'{"meta": {"total": 0}, "backups": null}', "backups"),
        (BackupListPoliciesResponse, b'{"meta": {"total": 0}, "policies": null}', "policies"),
        (
            BackupListSupportedPoliciesResponse,
            b'{"supported_policies": null}',
            "supported_policies",
        ),
    ],
)
def test_null_is_an_empty_collection(cls: type[Model], content: bytes, empty: str) -> None:
    """A list or map that comes as ``null`` is empty."""
    assert not getattr(decode(cls, content), empty)


def test_a_byte_order_mark_is_skipped() -> None:
    """A byte order mark before the JSON is skipped."""
    assert decode_any(b"\xef\xbb\xbf{}") == {}
    assert the_backup(b"\xef\xbb\xbf" + listing()) == the_backup(listing())


@pytest.mark.parametrize("page", [{}, {"meta": None}])
@pytest.mark.parametrize(
    ("cls", "items"),
    [
        (BackupListResponse, {"backups": [BACKUP]}),
        (BackupListPoliciesResponse, {"policies": {"7": {"droplet_id": 7}}}),
        (DropletListResponse, {"droplets": [{"id": 7, "name": "seven"}]}),
    ],
)
def test_a_page_may_lack_its_total(
    cls: type[Model], items: dict[str, Any], page: dict[str, Any]
) -> None:
    """Items are read though ``meta`` does not come with them: the total is not known then."""
    decoded = decode(cls, encoded({**page, **items}))
    assert decoded == decode(cls, encoded({"meta": {}, **items}))


@pytest.mark.parametrize(
    ("links", "read"),
    [
        ([], None),
        (3, None),
        ({"pages": []}, PageLinks()),
        ({"pages": {"next": 3}}, PageLinks(Pages())),
        ({"pages": {"next": "n", "prev": {}}}, PageLinks(Pages(next="n"))),
    ],
)
def test_invalid_links_are_left_out(links: object, read: PageLinks | None) -> None:
    """A link that is not a string is left out: the page is read, with its other links."""
    decoded = decode(BackupListResponse, encoded({"meta": {"total": 0}, "links": links}))
    assert decoded.links == read


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-09-01", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-09-01T10:30", datetime(2026, 9, 1, 10, 30, tzinfo=UTC)),
        ("2026-09-01T10:30+02", datetime(2026, 9, 1, 8, 30, tzinfo=UTC)),
        ("2026-09-01T10:30+05:45", datetime(2026, 9, 1, 4, 45, tzinfo=UTC)),
        ("2026-09-01T10:30:00,5", datetime(2026, 9, 1, 10, 30, 0, 500_000, tzinfo=UTC)),
        ("20260901T103000Z", datetime(2026, 9, 1, 10, 30, tzinfo=UTC)),
    ],
)
def test_other_ways_to_write_a_time_are_read(text: str, moment: datetime) -> None:
    """What Python reads as a time is one, in UTC where it names no offset."""
    created_at = the_backup(listing(created_at=text)).created_at
    assert created_at == moment
    assert created_at.utcoffset() is not None


@given(aware_times)
@example("2026-09-01t10:30:00z")
@example("2026-09-01T10:30:00.1234567Z")
def test_both_ways_read_the_same_time(text: str) -> None:
    """A time that only the lenient way has to read is what the fast way would have read."""
    fast = the_backup(listing(created_at=text)).created_at
    [slow] = datetimes(lenient(BackupListResponse, listing(created_at=text)).to_dict())
    assert (fast, fast.utcoffset()) == (slow, slow.utcoffset())


@pytest.mark.parametrize("links", [{}, {"pages": {}}, {"pages": None}, None])
def test_links_may_be_empty(links: object) -> None:
    """However the API writes that there are no other pages, it is read."""
    decoded = decode(BackupListResponse, encoded({"meta": {"total": 0}, "links": links}))
    assert decoded.links is None or decoded.links.pages in (None, Pages())


def test_all_links_can_be_read_on_every_page() -> None:
    """On the first page ``prev`` is ``None`` and no error; so are the others elsewhere."""
    pages = {"next": "https://api.test/?page=2", "last": "https://api.test/?page=3"}
    content = encoded({"meta": {"total": 3}, "links": {"pages": pages}})
    links = decode(BackupListResponse, content).links
    assert links is not None
    assert links.pages is not None
    assert links.pages == Pages(**pages)
    assert (links.pages.first, links.pages.prev) == (None, None)


@pytest.mark.parametrize(
    ("changes", "path", "problem"),
    [
        ({"id": "1"}, "$.backups[0].id", "expected an integer, got a string"),
        ({"id": True}, "$.backups[0].id", "expected an integer, got a boolean"),
        ({"id": 1.5}, "$.backups[0].id", r"expected an integer, got a number \(1.5\)"),
        ({"id": None}, "$.backups[0].id", "expected an integer, got null"),
        ({"name": None}, "$.backups[0].name", "expected a string, got null"),
        ({"name": []}, "$.backups[0].name", "expected a string, got an array"),
        ({"regions": "nyc3"}, "$.backups[0].regions", "expected an array, got a string"),
        ({"regions": ["nyc3", 3]}, "$.backups[0].regions[1]", "expected a string"),
        ({"size_gigabytes": {}}, "$.backups[0].size_gigabytes", "a number, got an object"),
        ({"type": 3}, "$.backups[0].type", "expected a string"),
        ({"created_at": 1577836800}, "$.backups[0].created_at", "expected a time, got a number"),
        ({"created_at": "now"}, "$.backups[0].created_at", "a time in ISO 8601, got 'now'"),
        (
            {"created_at": f"a @ $b{'c' * 35}"},
            "$.backups[0].created_at",
            r"^expected a time in ISO 8601, got 'a @ \$bc{34}'$",
        ),
        (
            {"created_at": "2026-09-01T10:30:00+00:00:30"},
            "$.backups[0].created_at",
            "a time in ISO 8601, got '2026",
        ),
    ],
)
def test_wrong_value_is_named_with_its_place(
    changes: dict[str, Any], path: str, problem: str
) -> None:
    """A value of the wrong type is refused, never turned into another one, and its place named."""
    with pytest.raises(DecodeFailure, match=problem) as caught:
        decode(BackupListResponse, listing(**changes))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("cls", "value", "path", "problem"),
    [
        (BackupListResponse, {"links": {}}, "$.meta", "required field missing"),
        (BackupListPoliciesResponse, {"message": "oops"}, "$.meta", "required field missing"),
        (BackupListResponse, {"meta": None}, "$.meta", "expected an object, got null"),
        (BackupListResponse, {"meta": {}, "backups": [{}]}, "$.backups[0].id", "field missing"),
        (BackupListResponse, {"meta": []}, "$.meta", "expected an object, got an array"),
        (BackupListResponse, [], "$", "expected an object, got an array"),
        (BackupListResponse, None, "$", "expected an object, got null"),
        (BackupListResponse, {"meta": {"total": "3"}}, "$.meta.total", "expected an integer"),
        (BackupRetrievePolicyResponse, {"policy": None}, "$.policy", "expected an object"),
        (
            BackupListSupportedPoliciesResponse,
            {"supported_policies": {}},
            "$.supported_policies",
            "an array",
        ),
        (
            BackupListPoliciesResponse,
            {"meta": {}, "policies": {"7": {"backup_enabled": 0}}},
            "$.policies['7'].backup_enabled",
            "expected a boolean, got a number",
        ),
        (
            BackupListPoliciesResponse,
            {"meta": {}, "policies": {"a @ b": 0}},
            "$.policies['a @ b']",
            "expected an object, got a number",
        ),
    ],
)
def test_wrong_shape_is_named_with_its_place(
    cls: type[Model], value: object, path: str, problem: str
) -> None:
    """What is missing or of another shape is named with its place."""
    with pytest.raises(DecodeFailure, match=problem) as caught:
        decode(cls, encoded(value))
    assert caught.value.path == path


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("cls", [BackupListResponse, BackupRetrievePolicyResponse])
def test_deep_nesting_is_refused(cls: type[Model], opening: bytes) -> None:
    """JSON that is nested without end is refused, and does not end the process."""
    for content in (opening * 200_000, b'{"meta": ' + opening * 200_000):
        with pytest.raises(DecodeFailure, match=r"^JSON nested too deeply$"):
            decode(cls, content)


@pytest.mark.parametrize("content", [b'"\\ud800"', b'"\xff"', b"{}\xef\xbb\xbf", b"NaN", b"1e999"])
def test_invalid_json_is_refused(content: bytes) -> None:
    """Half a surrogate pair, bytes that are not UTF-8, and NaN are refused as invalid JSON."""
    with pytest.raises(DecodeFailure, match="no valid JSON"):
        decode_any(content)


def test_any_object_can_be_decoded() -> None:
    """Plain objects keep the fields that no class of ours knows."""
    assert decode_any(b'{"new": [1, 2.5, null]}') == {"new": [1, 2.5, None]}


def test_decoded_objects_are_immutable() -> None:
    """A response object cannot be changed."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        the_backup(listing()).id = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("value", ["weekly", "intra_daily_4h", "", None])
def test_open_enumerations_are_kept_by_the_lenient_way(value: str | None) -> None:
    """Known values, new ones and ``null`` come out as they came in, also of an odd answer."""
    answer = {"policy": {"backup_policy": {"plan": value, "weekday": value}}}
    found = lenient(BackupRetrievePolicyResponse, encoded(answer))
    assert isinstance(found, BackupRetrievePolicyResponse)
    policy = found.policy.backup_policy
    assert policy is not None
    assert (policy.plan, policy.weekday) == (value, value)


@pytest.mark.parametrize("value", [7, True, [], {}], ids=repr)
def test_open_enumerations_are_strings(value: Any) -> None:
    """An open enumeration that is not a string is refused, and the failure names the place."""
    with pytest.raises(DecodeFailure, match="expected a string, got") as caught:
        decode(
            BackupRetrievePolicyResponse,
            encoded({"policy": {"backup_policy": {"plan": value}}}),
        )
    assert caught.value.path == "$.policy.backup_policy.plan"


def test_nesting_is_bounded_wherever_it_is() -> None:
    """100 levels of objects and arrays are read, one more is not."""
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        assert _structure.decode_any(opening * 100 + b"1" + closing * 100)
        with pytest.raises(DecodeFailure, match=r"^JSON nested too deeply$"):
            _structure.decode_any(opening * 101 + b"1" + closing * 101)
        for beside in (b"[" + b"[]," * 100, b'{"a":' + b'{},"b":' * 100):
            end = b"]" if beside[:1] == b"[" else b"}"
            assert _structure.decode_any(beside + opening * 99 + b"1" + closing * 99 + end)
            with pytest.raises(DecodeFailure, match=r"^JSON nested too deeply$"):
                _structure.decode_any(beside + opening * 100 + b"1" + closing * 100 + end)


def test_a_missing_field_is_named() -> None:
    """A missing field is refused with what is wrong, and where."""
    with pytest.raises(DecodeFailure, match=r"^required field missing$") as caught:
        decode(BackupListResponse, b"{}")
    assert caught.value.path == "$.meta"


def test_threads_may_decode_the_first_answers_together() -> None:
    """No thread meets a class that msgspec describes in another: that crashed the interpreter."""
    script = Path(__file__).parent / "scripts" / "decode_in_threads.py"
    home = Path(_structure.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(script)],
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
