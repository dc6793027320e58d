"""What all response classes share.

They are written as attrs classes, and type checkers and attrs itself take them for such. `response`
turns them into msgspec structs, which msgspec fills in 0.7 of the time: in any other class it sets
each field by name, and looks each up by name afterwards. Made by hand, one takes a fifth of the
time of a frozen attrs class.
"""

from datetime import datetime
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, cast

import attrs
import msgspec

__all__ = ["AwareDatetime", "Model", "response", "tracked_response"]

# `tz=True` sends a time without an offset to the lenient way of decoding, which reads it as UTC.
AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A `datetime.datetime` that always knows its offset."""


class Model:
    """A response class: immutable, compared by value, with the field names of the API."""

    __slots__ = ()

    def to_dict(self, *, mode: Literal["python", "json"] = "python") -> dict[str, Any]:
        """Return the values as plain ``dict`` and ``list`` objects.

        Nothing is left out: a field that the API did not send is ``None``.

        Args:
            mode: ``"python"`` leaves times as `datetime.datetime`; ``"json"`` gives them as text in
                ISO 8601, so that every value is one of JSON's.

        Raises:
            ValueError: There is no such mode.
        """
        if mode not in ("python", "json"):
            raise ValueError(f"mode must be 'python' or 'json', got {mode!r}")
        values = self._values()
        if mode == "json":
            return cast("dict[str, Any]", msgspec.to_builtins(values))
        return values

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return the values as JSON, times in ISO 8601.

        Args:
            indent: Spaces per level; ``None`` for one line without spaces.
        """
        encoded = msgspec.json.encode(self.to_dict())
        return (encoded if indent is None else msgspec.json.format(encoded, indent=indent)).decode()

    def _values(self) -> dict[str, Any]:
        return attrs.asdict(cast("attrs.AttrsInstance", self))


if TYPE_CHECKING:
    from attrs import frozen as response
    from attrs import frozen as tracked_response
else:
    # What attrs knows its classes by, and `inspect` their source.
    KEPT = ("__attrs_attrs__", "__attrs_props__", "__doc__", "__firstlineno__")

    def response(cls: type[Model]) -> type[Model]:
        """Make a struct of what is written as an attrs class, which attrs takes for one, too."""
        return _struct(cls, gc=False)  # what was decoded holds no cycles

    def tracked_response(cls: type[Model]) -> type[Model]:
        """Make a `response` for the garbage collector to track: an error in it may refer back.

        To one that it tracks there can be weak references, too.
        """
        return _struct(cls, gc=True)

    def _struct(cls: type[Model], *, gc: bool) -> type[Model]:
        # To `super()`, which its methods can therefore not use, the class is the one given here.
        methods = [name for name, value in vars(cls).items() if isinstance(value, FunctionType)]
        fields = attrs.fields(attrs.frozen(cls, repr=False, eq=False, init=False, slots=False))
        made = msgspec.defstruct(
            cls.__name__,
            [(field.name, field.type, *_default(field)) for field in fields],
            bases=(Model, msgspec.Struct),
            module=cls.__module__,
            namespace={n: vars(cls)[n] for n in (*KEPT, *methods) if n in vars(cls)},
            frozen=True,
            gc=gc,
            weakref=gc,
        )
        made.__setattr__ = made.__delattr__ = _refuse_change
        # msgspec describes a class when it first meets it, and another thread that meets it then
        # finds an unfinished description, which crashes the interpreter. Here no other one can.
        msgspec.json.Decoder(made)
        return made

    def _default(field: "attrs.Attribute[Any]") -> tuple[Any, ...]:
        if field.default is attrs.NOTHING:
            return ()
        if isinstance(field.default, attrs.Factory):
            return (msgspec.field(default_factory=field.default.factory),)
        return (field.default,)

    def _refuse_change(self: Model, name: str, value: object = None) -> NoReturn:
        raise attrs.exceptions.FrozenInstanceError
