"""What is installed along with each client."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from ..tables import Column, Scale, Table

PACKAGES = ("gradient-async", "gradient", "gradient[aiohttp]", "pydo", "pydo[aio]")
MIB = 2**20


def closure(requirement: str) -> set[str]:
    """Give the names of the distributions that a requirement installs, as found installed here."""
    found: set[str] = set()
    pending = [Requirement(requirement)]
    while pending:
        wanted = pending.pop()
        try:
            metadata = distribution(wanted.name)
        except PackageNotFoundError:  # for another platform
            continue
        name = metadata.metadata["Name"].lower().replace("_", "-")
        if name in found and not wanted.extras:
            continue
        found.add(name)
        for line in metadata.requires or ():
            needed = Requirement(line)
            extras = wanted.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                pending.append(needed)
    return found


def size(name: str) -> int:
    """Give the bytes of a distribution's files, without compiled byte code."""
    files = distribution(name).files or ()
    paths = [Path(str(file.locate())) for file in files if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())


def measure(scale: Scale) -> Iterator[Table]:
    """Measure what is installed."""
    closures = {package: closure(package) for package in PACKAGES}
    sizes = {package: [sum(map(size, names)) / MIB] for package, names in closures.items()}
    counts = {package: [float(len(names))] for package, names in closures.items()}
    yield Table(
        "Installed",
        [Column("MiB", sizes), Column("distributions", counts)],
        base=PACKAGES[0],
        note="With all dependencies, without compiled byte code.",
    )
