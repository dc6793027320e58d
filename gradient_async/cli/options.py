"""The options that commands have in common, and the values they take."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypeVar, cast

import attrs
import click

from .problems import Problem

if TYPE_CHECKING:
    from .. import DropletType, PlanChoice

__all__ = [
    "FINDINGS",
    "FORMATS",
    "Account",
    "Connection",
    "Destination",
    "Format",
    "account_options",
    "connection_options",
    "destination_options",
    "droplet_ids_argument",
    "parse_duration",
    "parse_findings",
]

F = TypeVar("F", bound=Callable[..., Any])


class Decorator(Protocol):
    """What adds to a command and leaves its type as it is."""

    def __call__(self, command: F, /) -> F:
        """Decorate a command."""
        ...


Format: TypeAlias = Literal["table", "json", "jsonl", "csv"]
FORMATS: Final[tuple[Format, ...]] = ("table", "json", "jsonl", "csv")
FINDINGS: Final = ("unknown_plan", "short", "overdue", "never", "disabled", "error")
NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?)"
SPAN: Final = rf" *{NUMBER} *(s|min|m|h|d)"
SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def parse_duration(value: str) -> float:
    """Read a time span, in seconds: ``15m``, ``26h``, ``1d12h`` or ``1 d 12 h``; a century at most.

    The units are those in which the audit tells time spans.
    """
    from ..audit.plans import CENTURY

    if re.fullmatch(NUMBER, value):
        units = f"{value}s, {value}m, {value}h or {value}d"
        raise click.BadParameter(f"{value!r} has no unit: write {units}")
    spans = re.findall(SPAN, value) if re.fullmatch(f"(?:{SPAN})+", value) else ()
    seconds = sum(float(number) * SECONDS[unit] for number, unit in spans)
    if not timedelta.resolution.total_seconds() <= seconds <= CENTURY.total_seconds():
        raise click.BadParameter(
            f"{value!r} is no time span such as 90s, 15m, 26h or 1d12h, of at most {CENTURY.days}d"
        )
    return seconds


def parse_droplet_id(value: str) -> int:
    """Read a Droplet ID."""
    if not re.fullmatch(r"[0-9]{1,18}", value) or int(value) < 1:
        raise click.BadParameter(f"{value!r} is no Droplet ID: a whole number from 1")
    return int(value)


def parse_findings(value: str) -> tuple[str, ...]:
    """Read findings with commas between them."""
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        if name not in FINDINGS:
            raise click.BadParameter(f"no finding {name!r}: there are {', '.join(FINDINGS)}")
    return names


def parse_column_names(value: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    names = tuple(name.strip() for name in value.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise click.BadParameter(f"{value!r} is no list of different names")
    return names


@attrs.frozen
class Connection:
    """What the options say about the API.

    Attributes:
        simulate: Ask a simulated account and not the API.
        base_url: Where the API is, ``None`` for the default.
        token_file: The file with the token, ``None`` for the environment variable.
        concurrency: How many Droplets are asked about at once.
        deadline: Seconds for the whole run, ``None`` for no bound.
        progress: Whether a progress bar may be shown.
    """

    simulate: bool = False
    base_url: str | None = None
    token_file: Path | None = None
    concurrency: int = 50
    deadline: float | None = None
    progress: bool = True

    def arguments(self) -> list[str]:
        """Return the arguments that mean the same account."""
        chosen = {"--base-url": self.base_url, "--token-file": self.token_file}
        given = [part for option, value in chosen.items() if value for part in (option, str(value))]
        return ["--simulate", *given] if self.simulate else given


@attrs.frozen
class Account:
    """Which Droplets of the account are meant, and how they are asked about.

    Attributes:
        type: ``"gpus"`` or ``"droplets"``, ``None`` for what the library takes by default.
        tag_name: Only those with this tag, of whatever type; ``None`` for all.
        plan: The plan of `list_fleet`.
        dry_run: Whether only to tell what the plans would cost.
    """

    type: DropletType | None = None
    tag_name: str | None = None
    plan: PlanChoice = "auto"
    dry_run: bool = False

    def arguments(self) -> list[str]:
        """Return the arguments that mean the same Droplets."""
        chosen = {"--type": self.type, "--tag-name": self.tag_name}
        return [part for option, value in chosen.items() if value for part in (option, value)]

    def check(self, droplet_ids: Collection[int]) -> None:
        """See that the options go together.

        Raises:
            Problem: They do not.
        """
        if droplet_ids and self != Account():
            raise Problem(
                "--type, --tag-name, --plan and --dry-run are for a whole account: give no IDs"
            )
        if self.type is not None and self.tag_name is not None:
            raise Problem("the API has Droplets by --type or by --tag-name, not by both")
        if self.dry_run and self.plan != "auto":
            raise Problem("--dry-run compares the plans, so --plan cannot be given with it")


@attrs.frozen
class Destination:
    """Where results go, and how they look.

    Attributes:
        format: The format, ``None`` if it was not chosen.
        path: The file, ``None`` for stdout.
        columns: The names of the columns, ``None`` for the usual ones.
        force: Whether a file that is there may be replaced.
    """

    format: Format | None = None
    path: Path | None = None
    columns: tuple[str, ...] | None = None
    force: bool = False


def _grouped(made: type[Any], name: str, *options: Callable[[Any], Any]) -> Decorator:
    """Return a decorator that adds options and hands them to the command as one object."""
    keys = [field.name for field in attrs.fields(made)]

    def decorate(command: F) -> F:
        @wraps(command)
        def grouped(**values: Any) -> Any:
            values[name] = made(**{key: values.pop(key) for key in keys if key in values})
            return command(**values)

        decorated: Any = grouped
        for option in reversed(options):
            decorated = option(decorated)
        return cast(F, decorated)

    return decorate


_debug = click.option(
    "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."
)

connection_options: Decorator = _grouped(
    Connection,
    "connection",
    click.option(
        "--simulate",
        is_flag=True,
        help="Ask a simulated account; no token is needed.",
    ),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="Read the access token from a file, not from DIGITALOCEAN_ACCESS_TOKEN.",
    ),
    click.option(
        "--base-url",
        metavar="URL",
        help="Where the API is. Default: GRADIENT_BASE_URL, or else that of DigitalOcean.",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 1000),
        default=50,
        show_default=True,
        metavar="N",
        help="How many Droplets are asked about at once.",
    ),
    click.option(
        "--deadline",
        type=parse_duration,
        metavar="TIME",
        help="End after this time (90s, 15m, 1h30m) with what there is then; exit code 3.",
    ),
    click.option(
        "--progress/--no-progress",
        default=True,
        help="Show a progress bar on stderr, if it is a terminal.  [default: progress]",
    ),
    _debug,
)
"""Adds the options about the API, as the keyword ``connection``."""

account_options: Decorator = _grouped(
    Account,
    "account",
    click.option(
        "--type",
        type=click.Choice(["gpus", "droplets"]),
        help="The Droplets of the account with GPUs or those without.  [default: gpus]",
    ),
    click.option("--tag-name", metavar="TAG", help="The Droplets with this tag, of either type."),
    click.option(
        "--plan",
        type=click.Choice(["auto", "joined", "per_droplet"]),
        default="auto",
        show_default=True,
        help="Ask about each Droplet, or join three listings; auto: what takes fewer requests.",
    ),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Print what each plan would cost, in at most 3 requests; write no file.",
    ),
)
"""Adds the options about the Droplets that are meant, as the keyword ``account``."""

destination_options: Decorator = _grouped(
    Destination,
    "destination",
    click.option(
        "-f",
        "--format",
        type=click.Choice(FORMATS),
        help="How results are written. jsonl and csv are written as they come.  [default: table]",
    ),
    click.option(
        "-o",
        "--output",
        "path",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write to a file, which is FILE.partial until it is complete. Default: stdout.",
    ),
    click.option(
        "--columns",
        type=parse_column_names,
        metavar="A,B,...",
        help="Columns of table and csv, by their names in csv; a wrong name lists all of them.",
    ),
    click.option(
        "--force",
        is_flag=True,
        help="Replace a file that exists, or the FILE.partial that an earlier run left.",
    ),
)
"""Adds the options about the output, as the keyword ``destination``."""


def _without_repeats(
    _: click.Context, __: click.Parameter, droplet_ids: tuple[int, ...]
) -> tuple[int, ...]:
    return tuple(dict.fromkeys(droplet_ids))


droplet_ids_argument: Decorator = click.argument(
    "droplet_ids",
    nargs=-1,
    type=parse_droplet_id,
    callback=_without_repeats,
    metavar="[DROPLET_ID]...",
)
"""Adds the Droplets that are named, each once, as the keyword ``droplet_ids``."""
