"""Text that others have written, in a form that can be shown."""

from __future__ import annotations

__all__ = ["clean", "one_line"]


def clean(text: str) -> str:
    r"""Return text that cannot steer a terminal, nor reorder or hide what stands beside it.

    Example:
        >>> clean("gpu\x1b[31m-train")
        'gpu\\x1b[31m-train'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def one_line(text: str, most: int = 1000) -> str:
    r"""Return text as one line that can be shown, cut where it is longer than anything meant.

    Example:
        >>> one_line("not found:\n\tDroplet \x07 7")
        'not found: Droplet \\x07 7'
    """
    line = clean(" ".join(text[:most].split()))
    return f"{line}..." if len(text) > most else line
