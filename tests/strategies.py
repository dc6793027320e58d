"""Hypothesis strategies: JSON in general, and the answers of the API with all their variety."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Any, TypeAlias

from hypothesis import strategies as st

from gradient_async.types import (
    BackupListPoliciesResponse,
    BackupListResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
)
from gradient_async.types._model import Model

Json: TypeAlias = Any
Answer: TypeAlias = tuple[type[Model], dict[str, Json]]

ANSWERS: tuple[type[Model], ...] = (
    BackupListResponse,
    BackupListPoliciesResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
)

answer_classes = st.sampled_from(ANSWERS)
text = st.text(st.characters(codec="utf-8"), max_size=12)
counts = st.integers(0, 10_000)
ids = st.integers(1, 2**53)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(timezones=offsets).map(lambda moment: moment.isoformat())
zulu_times = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
naive_times = st.datetimes().map(lambda moment: moment.isoformat())
aware_times = times | zulu_times

json_values: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def nullable(values: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Give a value or ``null``."""
    return st.none() | values


def record(
    required: dict[str, st.SearchStrategy[Json]], optional: dict[str, st.SearchStrategy[Json]]
) -> st.SearchStrategy[dict[str, Json]]:
    """Give a JSON object; what is optional may be missing."""
    return st.fixed_dictionaries(required, optional=optional)


def backups(
    when: st.SearchStrategy[Json] = aware_times,
    kinds: st.SearchStrategy[Json] = st.sampled_from(["snapshot", "backup"]),  # noqa: B008
) -> st.SearchStrategy[dict[str, Json]]:
    """Give a backup."""
    return record(
        {
            "id": ids,
            "created_at": when,
            "min_disk_size": counts,
            "name": text,
            "regions": st.lists(text, max_size=3),
            "size_gigabytes": st.floats(0, 1e6) | counts,
            "type": kinds,
        },
        {},
    )


links = nullable(
    record(
        {},
        {
            "pages": nullable(
                record({}, dict.fromkeys(("first", "prev", "next", "last"), nullable(text)))
            )
        },
    )
)
meta = record({}, {"total": nullable(counts)})
plans = st.sampled_from(["daily", "weekly", "intra_daily_4h"]) | text
policies = record(
    {},
    {
        "backup_enabled": nullable(st.booleans()),
        "droplet_id": nullable(ids),
        "backup_policy": nullable(
            record(
                {},
                {
                    "hour": nullable(st.integers(0, 23)),
                    "plan": nullable(plans),
                    "retention_period_days": nullable(counts),
                    "weekday": nullable(st.sampled_from(["SUN", "MON"]) | text),
                    "window_length_hours": nullable(counts),
                },
            )
        ),
        "next_backup_window": nullable(
            record({}, {"start": nullable(aware_times), "end": nullable(aware_times)})
        ),
    },
)
supported_policies = record(
    {},
    {
        "name": nullable(text),
        "possible_days": nullable(st.lists(text, max_size=3)),
        "possible_window_starts": nullable(st.lists(st.integers(0, 23), max_size=3)),
        "retention_period_days": nullable(counts),
        "window_length_hours": nullable(counts),
    },
)

payloads: dict[type[Model], st.SearchStrategy[dict[str, Json]]] = {
    BackupListResponse: record(
        {"meta": meta}, {"backups": st.lists(backups(), max_size=3), "links": links}
    ),
    BackupListPoliciesResponse: record(
        {"meta": meta},
        {"policies": st.dictionaries(ids.map(str) | text, policies, max_size=3), "links": links},
    ),
    BackupListSupportedPoliciesResponse: record(
        {}, {"supported_policies": st.lists(supported_policies, max_size=3)}
    ),
    BackupRetrievePolicyResponse: record({"policy": policies}, {}),
}


def paired(
    cls: type[Model], values: st.SearchStrategy[dict[str, Json]]
) -> st.SearchStrategy[Answer]:
    """Give payloads along with their class."""
    return values.map(lambda payload: (cls, payload))


answers: st.SearchStrategy[Answer] = st.one_of(
    [paired(cls, values) for cls, values in payloads.items()]
)
"""A response class and a payload that it fits, as the API documents it."""


def objects(value: Json) -> Iterator[dict[str, Json]]:
    """Walk all objects in a JSON value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            yield from objects(inner)


@st.composite
def with_unknown_fields(draw: st.DrawFn) -> Answer:
    """Give an answer in which objects have fields that no class of ours knows."""
    cls, payload = draw(answers)
    for number, found in enumerate(list(objects(payload))):
        if found is not payload.get("policies"):  # its keys are data
            found[f"unknown_{number}"] = draw(json_values)
    return cls, payload


def places(value: Json) -> Iterator[tuple[Json, Json]]:
    """Walk all containers in a JSON value with each of their keys or indices."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


@st.composite
def damaged(draw: st.DrawFn) -> Answer:
    """Give an answer in which one value was replaced by any JSON at all."""
    cls, payload = draw(answers)
    found = list(places(payload))
    if found:
        container, key = draw(st.sampled_from(found))
        container[key] = draw(json_values)
    return cls, payload


def encoded(payload: Json) -> bytes:
    """Encode a payload as the API does."""
    return json.dumps(payload, ensure_ascii=False).encode()
