"""What the campaigns, the fuzzing and the searches have found, each as small as it can be."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress

import pytest

from gradient_async import errors
from gradient_async._http import RateLimitHeaders, Response, status_error
from gradient_async._structure import MAX_NESTING, DecodeFailure, decode, decode_any
from gradient_async.types import BackupListResponse


def nested(depth: int) -> bytes:
    """Give JSON that is so many arrays deep."""
    return b"[" * depth + b"1" + b"]" * depth


def test_nesting_is_bounded_by_a_number_and_not_by_the_stack() -> None:
    """The limit is the same wherever the call comes from; what is within it is decoded."""
    assert decode_any(nested(MAX_NESTING))
    with pytest.raises(DecodeFailure, match="nested too deeply"):
        decode_any(nested(MAX_NESTING + 1))
    assert decode_any(b"[" + b",".join([b"{}"] * 1000) + b"]") == [{}] * 1000


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"meta":', b"}"), (b'{"backups":[', b"]}")]
)
def test_no_depth_of_nesting_gives_a_recursion_error(opening: bytes, closing: bytes) -> None:
    """Around the depth that Python's stack allows, too, a bad answer is a `DecodeFailure`."""
    for depth in (100, 500, *range(900, 1010), 5000):
        with suppress(DecodeFailure):
            decode(BackupListResponse, opening * depth + b"1" + closing * depth)


def test_an_error_with_a_deeply_nested_body_can_be_pickled() -> None:
    """A server cannot keep an error from crossing a process boundary by what it sends with it."""
    response = Response("GET", "https://a.test", 400, {}, nested(800))
    error = status_error(response, RateLimitHeaders({}, 0))
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, errors.BadRequestError)
    assert again.body == copy.deepcopy(error.body) == nested(800).decode()
