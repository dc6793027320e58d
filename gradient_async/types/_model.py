"""What all response classes share."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast

import attrs
import msgspec

__all__ = ["AwareDatetime", "Model"]

# `tz=True` sends a time without an offset to the lenient way of decoding, which reads it as UTC.
AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A `datetime.datetime` that always knows its offset."""


@attrs.frozen(getstate_setstate=False)  # or `Pages`, which has no slots, would inherit them
class Model:
    """A response class: immutable, compared by value, with the field names of the API."""

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
        return attrs.asdict(self)
