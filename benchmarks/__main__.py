"""Run the benchmarks: ``python -m benchmarks --help``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from . import report
from .measures import MEASURES
from .tables import Scale, Table

RESULTS = Path(__file__).parent / "results"


@click.command()
@click.option("--quick", is_flag=True, help="About a minute, for a look; writes nothing.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(MEASURES)),
    help="Only this measure; repeatable.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for results.md, .json and .svg. Default for a whole run: benchmarks/results.",
)
@click.option("--check", is_flag=True, help="Exit with 1 when a goal is missed.")
def main(quick: bool, only: tuple[str, ...], output: Path | None, check: bool) -> None:
    """Measure gradient_async beside its peers, all in turn, and compare."""
    tables: list[Table] = []
    for name in only or MEASURES:
        started = time.perf_counter()
        tables += MEASURES[name](Scale(quick))
        click.echo(f"{name}: {time.perf_counter() - started:.0f} s", err=True)
    text = report.markdown(tables, quick=quick)
    click.echo(text)
    if output is None and not (quick or only):
        output = RESULTS
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "results.md").write_text(text)
        (output / "results.json").write_text(report.as_json(tables))
        report.plot(tables, output / "results.svg")
    if check and not all(goal.met for table in tables for goal in table.goals):
        sys.exit(1)


if __name__ == "__main__":
    main()
