"""The command ``gradient-async``; it needs the extra ``[cli]``.

Exit codes, of every command:

=====  ==============================================================================
0      Everything was done; of ``audit``: no finding that counts. ``simulate`` was ended.
1      Done, but some Droplets could not be listed; of ``audit``: findings that count.
2      Wrong usage: an unknown option, no token, a file that cannot be read or written.
3      The API could not be asked, or not to the end (``--deadline``).
70     A bug in gradient-async; ``--debug`` shows where.
130    Ctrl-C. What was finished is written out, what was not is named.
141    The reader of a pipe went away, as ``head`` does.
143    SIGTERM. The same as Ctrl-C.
=====  ==============================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: The arguments without the program's name; those of the process by default.

    Returns:
        The exit code.
    """
    try:
        from .app import run

        return run(sys.argv[1:] if args is None else args)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"click", "rich", "jinja2", "plotly"}:
            raise
        if sys.stderr is not None:  # as it is after `2>&-`
            sys.stderr.write(
                f"gradient-async: {missing} is not installed: pip install 'gradient-async[cli]'\n"
            )
        return 2
