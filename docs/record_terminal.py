"""Records what the commands show on a terminal, as the pictures in ``docs/_static``.

``python docs/record_terminal.py`` runs each command on a terminal of its own and writes what it
shows; from the middle of a long table, rows are left out.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURES = {"backups": "backups --simulate", "audit": "audit --simulate --max-age 26h"}
COLUMNS = 100
FIRST, LAST = 14, 8
END_OF_PROGRESS_BAR = "\x1b[?25h"


def shown_by(command: str) -> list[str]:
    """Run a command on a terminal, and give the lines that it leaves there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "gradient_async", *command.split()],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown = b"".join(iter(lambda: read(ours), b""))
    process.wait()
    left = shown.decode().rpartition(END_OF_PROGRESS_BAR)[2]
    return re.sub(r"\x1b\[\d*[A-L]|\r(?!\n)", "", left).rstrip().splitlines()


def read(terminal: int) -> bytes:
    """Read a piece; at the end Linux gives an error where others give nothing."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def picture(command: str) -> str:
    """Draw a command and what it shows, without fonts from elsewhere."""
    lines = shown_by(command)
    if len(lines) > FIRST + LAST:
        lines[FIRST:-LAST] = ["⋮"]
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "green"), (f"gradient-async {command}", "bold")))
    for line in lines:
        console.print(Text.from_ansi(line))
    svg = console.export_svg(title="gradient-async", unique_id="recorded")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def main() -> None:
    """Write the pictures."""
    for name, command in PICTURES.items():
        path = Path(__file__).parent / "_static" / f"{name}.svg"
        path.write_text(picture(command), "utf-8")


if __name__ == "__main__":
    main()
