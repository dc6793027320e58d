"""The blocking client beside the asynchronous one: the same methods, arguments and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from gradient_async import AsyncGradient, AsyncStreamedResponse, Gradient, StreamedResponse
from gradient_async import resources as asynchronous
from gradient_async import sync as blocking
from gradient_async._generate import blocking_text, blocking_type
from gradient_async.resources import _views as asynchronous_views
from gradient_async.sync import views as blocking_views


def pairs() -> Iterator[tuple[type, type]]:
    """Give every class of the asynchronous client, and its twin."""
    yield AsyncGradient, Gradient
    yield AsyncStreamedResponse, StreamedResponse
    for ours, theirs in ((asynchronous, blocking), (asynchronous_views, blocking_views)):
        for name in ours.__all__:
            yield getattr(ours, name), getattr(theirs, name.removeprefix("Async"))


PAIRS = [pytest.param(*pair, id=pair[1].__name__) for pair in pairs()]


def members(cls: type) -> dict[str, Any]:
    """Give the public members that a class itself defines."""
    return {name: member for name, member in vars(cls).items() if not name.startswith("_")}


def described(signature: inspect.Signature) -> str:
    """Give a signature as text, in blocking types, without what it returns."""
    bare = signature.replace(return_annotation=inspect.Signature.empty)
    return blocking_type(str(bare))


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_same_members(ours: type, theirs: type) -> None:
    """Both have the same public members, and none of the twin's is to be awaited."""
    assert list(members(ours)) == list(members(theirs))
    for member in members(theirs).values():
        assert not inspect.iscoroutinefunction(member)
        assert not inspect.isasyncgenfunction(member)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_same_signatures(ours: type, theirs: type) -> None:
    """Methods take the same arguments, of the same types, with the same defaults."""
    for name, member in members(ours).items():
        if inspect.isfunction(member):
            twin = members(theirs)[name]
            assert described(inspect.signature(member)) == described(inspect.signature(twin)), name


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_same_docstrings(ours: type, theirs: type) -> None:
    """Docstrings are the same but for their examples, which block."""
    for name, member in members(ours).items():
        expected = blocking_text(inspect.getdoc(member) or "")
        found = inspect.getdoc(members(theirs)[name]) or ""
        assert found == expected, name
        assert not [word for word in ("await ", "async for", "async with") if word in found]


def test_same_constructor() -> None:
    """The blocking client takes the same, but no session of one loop; and how its loop is made."""
    ours = dict(inspect.signature(AsyncGradient).parameters)
    theirs = dict(inspect.signature(Gradient).parameters)
    loop_factory = theirs.pop("loop_factory")
    assert (loop_factory.default, loop_factory.kind) == (None, inspect.Parameter.KEYWORD_ONLY)
    ours["session"] = ours["session"].replace(annotation="SessionFactory | None")
    assert ours == theirs
    documented = inspect.getdoc(Gradient) or ""
    for name in (*theirs, "loop_factory"):
        assert f"\n    {name}: " in documented


def test_returned_types() -> None:
    """The annotations name the blocking classes."""
    backups = blocking.BackupsResource
    returned = {
        name: inspect.signature(getattr(backups, name)).return_annotation
        for name in ("list", "iter_backups", "iter_policies", "list_many")
    }
    assert returned == {
        "list": "BackupListResponse",
        "iter_backups": "BlockingIterator[Backup]",
        "iter_policies": "BlockingIterator[tuple[int, Policy]]",
        "list_many": "BlockingFanOut[DropletBackups]",
    }
