"""What writes the blocking client, construct by construct, and its check for differences."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import pytest

from gradient_async import Gradient, _generate
from gradient_async._generate import GenerationError, Source, Twin

PACKAGE = _generate.PACKAGE
in_the_tree = pytest.mark.skipif(
    not (PACKAGE.parent / "pyproject.toml").exists(), reason="the settings of ruff are in the tree"
)

EXAMPLE = '''
class AsyncExample:
    """Gives numbers.

    Example:
        >>> async with AsyncExample() as example:
        ...     await example.one()
        1
    """

    kind = "example"

    def __init__(self) -> None:
        self.entered = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @property
    def name(self) -> str:
        """The name."""
        return "example"

    @cached_property
    def inner(self) -> AsyncInner:
        """Another one."""
        return AsyncInner()

    def plain(self, a: int, *more: int, b: str = "b", **rest: bool) -> tuple[Any, ...]:
        """Give the arguments back."""
        return a, more, b, rest

    async def one(self) -> int:
        """Give one.

        Example:
            >>> await example.one()
            1
        """
        return 1

    async def nothing(self) -> None:
        """Give nothing."""

    async def numbers(self, count: int = 3) -> AsyncIterator[int]:
        """Give numbers.

        Example:
            >>> async for number in example.numbers():
            ...     print(number)
        """
        for number in range(count):
            yield number

    @asynccontextmanager
    async def entering(self, value: str) -> AsyncIterator[str]:
        """Give a value while it is entered."""
        self.entered += 1
        try:
            yield value
        finally:
            self.entered -= 1

    @overload
    async def convert(self, value: int) -> str: ...

    @overload
    async def convert(self, value: str) -> int: ...

    async def convert(self, value: int | str) -> int | str:
        """Turn the one into the other."""
        return str(value) if isinstance(value, int) else int(value)

    async def _private(self) -> None:
        pass

    again = plain

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class AsyncInner:
    """An inner one."""

    async def two(self) -> int:
        """Give two."""
        return 2
'''

NAMES: dict[str, Any] = {
    "Any": Any,
    "AsyncIterator": AsyncIterator,
    "asynccontextmanager": asynccontextmanager,
    "cached_property": cached_property,
    "overload": overload,
    "__name__": "gradient_async.sync._example",
    "__package__": "gradient_async.sync",
}


def twins(text: str) -> str:
    """Generate the blocking twins of the classes of a module."""
    source = Source("example.py", text)
    body = "\n\n".join(Twin(source, node).text() for node in source.classes())
    return _generate.module("Example.", source.name, _generate.SYNC_PRELUDE, [], body)


def method(text: str) -> str:
    """Generate the twin of a class with one method."""
    lines = text.strip("\n").splitlines()
    body = "\n".join(f"    {line}" for line in lines)
    return twins(f'class AsyncExample:\n    """Example."""\n\n{body}\n')


@pytest.fixture
def example(client: Gradient) -> Any:
    """The blocking twin of the example, at work on the loop of a client."""
    names = dict(NAMES)
    future = "from __future__ import annotations\n"
    exec(compile(future + EXAMPLE, "example.py", "exec"), names)
    asynchronous = names["AsyncExample"]()
    exec(compile(twins(EXAMPLE), "generated.py", "exec"), names)
    return names["Example"](client._portal, asynchronous)


def test_methods_at_work(example: Any) -> None:
    """Plain and asynchronous methods, properties and attributes give what their originals give."""
    assert (example.one(), example.nothing(), example.name, example.kind) == (
        1,
        None,
        "example",
        "example",
    )
    assert example.plain(1, 2, 3, b="x", c=True) == (1, (2, 3), "x", {"c": True})
    assert example.again(1) == (1, (), "b", {})
    assert example.inner is example.inner
    assert example.inner.two() == 2
    assert repr(example) == "<Example>"


def test_overloads_at_work(example: Any) -> None:
    """An overloaded method gives what its original gives."""
    assert (example.convert(1), example.convert("1")) == ("1", 1)


def test_generators_at_work(example: Any) -> None:
    """An asynchronous generator is a plain iterator."""
    assert list(example.numbers()) == [0, 1, 2]
    for number in example.numbers(count=10):
        if number == 1:
            break


def test_context_managers_at_work(example: Any) -> None:
    """An asynchronous context manager is a plain one, left also by an exception."""
    with example.entering("value") as value:
        assert (value, example._wrapped.entered) == ("value", 1)
    with pytest.raises(ZeroDivisionError), example.entering("value"):
        _ = 1 / 0
    assert example._wrapped.entered == 0


def test_signatures() -> None:
    """Parameters, defaults, types, overloads and docstrings are in the generated source."""
    text = twins(EXAMPLE)
    tree = ast.parse(text)
    heads = [line.strip() for line in text.splitlines() if "def " in line or "@" in line]
    assert [line for line in heads if not line.startswith("def __")] == [
        "@property",
        "def name(self) -> str:",
        "@cached_property",
        "def inner(self) -> Inner:",
        "def plain(self, a: int, *more: int, b: str='b', **rest: bool) -> tuple[Any, ...]:",
        "def one(self) -> int:",
        "def nothing(self) -> None:",
        "def numbers(self, count: int=3) -> Iterator[int]:",
        "def entering(self, value: str) -> AbstractContextManager[str]:",
        "@overload",
        "def convert(self, value: int) -> str:",
        "@overload",
        "def convert(self, value: str) -> int:",
        "def convert(self, value: int | str) -> int | str:",
        "def two(self) -> int:",
    ]
    assert all(ast.get_docstring(node) for node in tree.body if isinstance(node, ast.ClassDef))


def test_docstrings() -> None:
    """Examples are turned into their blocking form, and so are the names of classes."""
    text = twins(EXAMPLE)
    assert ">>> with Example() as example:" in text
    assert ">>> example.one()" in text
    assert ">>> for number in example.numbers():" in text
    body = text.replace(_generate.HEADER, "")
    assert not [word for word in ("await ", "async for", "async with") if word in body]


def test_docstring_with_quotes_and_backslashes() -> None:
    """A docstring that has backslashes and quotes in it comes out as it went in."""
    wanted = r'Split at \n, say """so""" or "so"'
    text = method(f"def f(self) -> None:\n    {wanted!r}")
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert wanted in [(ast.get_docstring(function) or "").strip() for function in functions]


def test_header() -> None:
    """A generated file says that it is one, from what, and how."""
    first, second, *_ = twins(EXAMPLE).splitlines()
    assert first == "# Generated by `nox -s generate` from example.py."
    assert second.startswith("# Do not edit")


UNSUPPORTED = {
    "no docstring": "def f(self) -> None: pass",
    "no return annotation": 'def f(self):\n    """F."""',
    "the decorator staticmethod": '@staticmethod\ndef f() -> None:\n    """F."""',
    "the decorator setter": '@name.setter\ndef name(self, value: int) -> None:\n    """F."""',
    "the special method __len__": 'def __len__(self) -> int:\n    """F."""\n    return 1',
    "an async property": '@property\nasync def f(self) -> int:\n    """F."""\n    return 1',
    "annotate an AsyncIterator": 'async def f(self) -> int:\n    """F."""\n    yield 1',
    "a ClassDef in a class body": 'class Inner:\n    """Inner."""',
    "a AnnAssign in a class body": "limit: int = 1",
    "f gives a Awaitable[int]": 'def f(self) -> Awaitable[int]:\n    """F."""',
    "f gives a AsyncOther": 'async def f(self) -> AsyncOther:\n    """F."""',
    "f gives a AsyncOther | None": '@property\ndef f(self) -> AsyncOther | None:\n    """F."""',
    "f gives a list[AsyncOther]": 'def f(self) -> list[AsyncOther]:\n    """F."""',
    "f gives a Listing[int]": 'async def f(self) -> Listing[int]:\n    """F."""',
    "f gives a AsyncIterator[int]": 'async def f(self) -> AsyncIterator[int]:\n    """F."""',
    "f gives a AbstractAsyncContextManager[int]": (
        'async def f(self) -> AbstractAsyncContextManager[int]:\n    """F."""'
    ),
    "f takes a Callable[[], Awaitable[int]]": (
        'def f(self, g: Callable[[], Awaitable[int]]) -> None:\n    """F."""'
    ),
    "a FanOut without IDs and `concurrency`": (
        'def f(self, ids: DropletIds) -> FanOut[int]:\n    """F."""'
    ),
}


@pytest.mark.parametrize("why", UNSUPPORTED)
def test_unsupported(why: str) -> None:
    """A construct without a rule is an error that names it, the file and the line."""
    with pytest.raises(GenerationError) as caught:
        method(f"\n{UNSUPPORTED[why]}")
    said = str(caught.value)
    assert said.startswith(("example.py:4: ", "example.py:5: "))
    assert why in said


def test_inherited_methods_are_unsupported() -> None:
    """A class whose base may bring methods along is an error: the twin would lack them."""
    with pytest.raises(GenerationError, match=r"example\.py:1: AsyncExample inherits methods"):
        twins('class AsyncExample(AsyncBase):\n    """Example."""\n')


USING = '''"""Adds numbers."""

from __future__ import annotations


async def total(client: AsyncExample, results: list[int]) -> int:
    """Add what a client gives.

    Example:
        >>> await total(client, [])
        4
    """
    async with client.entering("x"):
        results += [number async for number in client.numbers()]
    return await half(client) + sum(results)


async def half(client: AsyncExample) -> int:
    """Give a part of it."""
    return await client.one()
'''


def test_functions_that_use_a_client(example: Any) -> None:
    """They are written with their bodies, under names of their own, and do the same at work."""
    text = _generate.blocking_module(Source("example.py", USING))
    assert text.startswith("# Generated by `nox -s generate` from example.py.\n")
    assert ">>> total_blocking(client, [])\n" in text
    assert "client: Example, results" in text
    names: dict[str, Any] = {}
    exec(compile(text, "example.py", "exec"), names)
    assert names["total_blocking"](example, []) == 4
    assert {"total", "half"}.isdisjoint(names)


NEEDS_A_LOOP = [
    "await(client.one())",
    "import asyncio",
    "import asyncio.locks",
    "from asyncio.timeouts import timeout",
    "each: Awaitable[int]",
    "anext(client)",
    "stack.enter_async_context(client)",
    "contextlib.aclosing(client)",
]


@pytest.mark.parametrize("body", NEEDS_A_LOOP)
def test_functions_that_need_a_loop(body: str) -> None:
    """What cannot be written without a loop is an error with file and line."""
    source = Source("example.py", f"async def total(client):\n    {body}\n")
    with pytest.raises(GenerationError, match=r"^example\.py:2: cannot be written without"):
        _generate.blocking_module(source)


AMBIGUOUS = {
    "total is a parameter and a function": "f(total=1)",
    "total is an attribute and a function": "client.total()",
    "a text has the word Listing": '"""Listing Droplets."""',
    "invalid syntax": "from .. import DropletIds",
}


@pytest.mark.parametrize("why", AMBIGUOUS)
def test_names_that_stand_for_two_things(why: str) -> None:
    """What would be replaced where it must not be is an error with file and line."""
    source = Source("example.py", f"async def total(client):\n    {AMBIGUOUS[why]}\n")
    with pytest.raises(GenerationError, match=rf"^example\.py:2: {why}"):
        _generate.blocking_module(source)


VIEWED = '''
class AsyncThings(AsyncAPIResource):
    """Things."""

    async def get(self, number: int, *, deep: bool = False) -> Thing:
        """Get a thing.

        Args:
            number: Which.
            deep: Whether.

        Returns:
            The thing.

        Raises:
            APIError: It failed.

        Example:
            >>> await things.get(1)
        """
        return await self._get(Endpoint(Thing, f"/things/{number}"), {"deep": deep})

    def lazy(self) -> Listing[Thing]:
        """List things."""
        return Listing()
'''


def test_views() -> None:
    """Every endpoint has a raw and a streaming view; what is no endpoint has none."""
    text = _generate.views(Source("example.py", VIEWED))
    raw, streaming = ast.parse(text).body
    assert isinstance(raw, ast.ClassDef)
    assert isinstance(streaming, ast.ClassDef)
    assert [ast.unparse(node).splitlines()[0] for node in (*raw.body[1:], *streaming.body[1:])] == [
        "async def get(self, number: int, *, deep: bool=False) -> AsyncAPIResponse[Thing]:",
        "def get(self, number: int, *, deep: bool=False)"
        " -> AbstractAsyncContextManager[AsyncStreamedResponse[Thing]]:",
    ]
    endpoint = "(Endpoint(Thing, f'/things/{number}'), {'deep': deep})"
    assert f"return await self._get_raw{endpoint}" in text
    assert f"return self._get_streaming{endpoint}" in text
    assert "Args:" in text
    assert "Raises:" in text
    assert "Returns:" not in text
    assert "Example:" not in text


@pytest.mark.parametrize(
    "body",
    [
        "number += 1\n        return await self._get(number, {})",
        "return (await self._get(number, {})).thing",
    ],
)
def test_view_of_more_than_an_endpoint(body: str) -> None:
    """An endpoint whose method does more than send it is an error: its views would not."""
    text = (
        'class AsyncThings(AsyncAPIResource):\n    """Things."""\n\n'
        f'    async def get(self, number: int) -> Thing:\n        """Get."""\n        {body}\n'
    )
    with pytest.raises(GenerationError, match=r"example\.py:4: get does more than"):
        _generate.views(Source("example.py", text))


@pytest.fixture
def wanted() -> dict[str, str]:
    """Two files as they should be."""
    return {"sync/a.py": "a = 1\n", "resources/_views.py": "b = 2\n"}


@pytest.fixture
def package(tmp_path: Path, wanted: dict[str, str]) -> Path:
    """A package with the files as they should be."""
    (tmp_path / "resources").mkdir()
    _generate.write(wanted, tmp_path)
    return tmp_path


def test_no_difference(package: Path, wanted: dict[str, str]) -> None:
    """Files as they should be are no difference, and are not written again."""
    assert _generate.differences(wanted, package) == []
    before = {path: path.stat().st_mtime_ns for path in package.rglob("*.py")}
    _generate.write(wanted, package)
    assert {path: path.stat().st_mtime_ns for path in package.rglob("*.py")} == before


def test_differences(package: Path, wanted: dict[str, str]) -> None:
    """A changed, a missing and a left-over file are differences; writing mends all three."""
    (package / "sync" / "a.py").write_text("a = 1\n\n")
    (package / "resources" / "_views.py").unlink()
    (package / "sync" / "orphan.py").touch()
    (package / "left_over.py").write_text(_generate.HEADER.format(source="gone.py"))
    assert _generate.differences(wanted, package) == [
        "sync/a.py: differs",
        "resources/_views.py: missing",
        "left_over.py: not generated any more",
        "sync/orphan.py: not generated any more",
    ]
    _generate.write(wanted, package)
    assert _generate.differences(wanted, package) == []
    assert not (package / "sync" / "orphan.py").exists()


def test_what_ruff_refuses() -> None:
    """Text that is not Python is an error with what ruff says."""
    with pytest.raises(GenerationError, match="ruff cannot format"):
        _generate.formatted("def f(:\n")


def generate(tree: Path, *arguments: str) -> tuple[int, str]:
    """Run the command in a copy of the tree; its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "gradient_async._generate", *arguments],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@in_the_tree
def test_committed_files_are_what_is_generated(capsys: pytest.CaptureFixture[str]) -> None:
    """Who changes the asynchronous source and forgets to generate is told by the tests, too."""
    assert (_generate.main(["--check"]), capsys.readouterr().err) == (0, "")


@in_the_tree
def test_command(tmp_path: Path) -> None:
    """``--check`` passes on the committed files and on what is generated, and on nothing else."""
    shutil.copytree(PACKAGE, tmp_path / "gradient_async")
    shutil.copy(PACKAGE.parent / "pyproject.toml", tmp_path)
    assert generate(tmp_path, "--check") == (0, "")
    changed = tmp_path / "gradient_async" / "sync" / "backups.py"
    committed = changed.read_text("utf-8")
    changed.write_text(committed + "\n", "utf-8")
    (changed.parent / "orphan.py").touch()
    (changed.parent / "views.py").unlink()
    code, said = generate(tmp_path, "--check")
    assert code == 1
    assert said.splitlines() == [
        "sync/views.py: missing; run `nox -s generate`",
        "sync/backups.py: differs; run `nox -s generate`",
        "sync/orphan.py: not generated any more; run `nox -s generate`",
    ]
    assert generate(tmp_path) == (0, "")
    assert changed.read_text("utf-8") == committed
    assert generate(tmp_path, "--check") == (0, "")


@in_the_tree
def test_command_on_an_unsupported_source(tmp_path: Path) -> None:
    """A source that cannot be generated from ends the command with an error and no traceback."""
    shutil.copytree(PACKAGE, tmp_path / "gradient_async")
    source = tmp_path / "gradient_async" / "resources" / "gpu_droplets.py"
    text = source.read_text("utf-8")
    source.write_text(text + "\n    async def new(self):\n        pass\n", "utf-8")
    code, said = generate(tmp_path)
    line = len(text.splitlines()) + 2
    assert code == 1
    assert said == (
        f"gradient_async/resources/gpu_droplets.py:{line}: new has no return annotation\n"
    )
