"""The commands. Each reads its options and leaves the work to the modules beside it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from .._version import __version__
from .options import (
    FINDINGS,
    Account,
    Connection,
    Destination,
    account_options,
    connection_options,
    destination_options,
    droplet_ids_argument,
    parse_duration,
    parse_findings,
)
from .problems import BUG, INTERRUPTED, READER_GONE, TERMINATED, one_line
from .signals import sigterm
from .terminal import buffer_standard_streams, occupy_standard_descriptors, tell_as_it_is

__all__ = ["app", "run"]

COMPLETION: Final = "_GRADIENT_ASYNC_COMPLETE"
"""Is set where a shell asks how to complete a line."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  gradient-async backups --simulate            a look at it, without an account
  gradient-async backups --format csv -o backups.csv
  gradient-async audit --max-age 26h; echo "exit code $?"

\b
The access token is read from DIGITALOCEAN_ACCESS_TOKEN or from --token-file.

\b
Exit codes: 0 done; 1 done, but Droplets failed or were found wanting; 2 wrong usage;
3 the API could not be asked, or not to the end; 130 Ctrl-C; 143 SIGTERM.

\b
Completion, for bash (in ~/.bashrc; likewise zsh_source in ~/.zshrc):
  eval "$(_GRADIENT_ASYNC_COMPLETE=bash_source gradient-async)"
For fish, in ~/.config/fish/completions/gradient-async.fish:
  _GRADIENT_ASYNC_COMPLETE=fish_source gradient-async | source
""",
)
@click.version_option(__version__, prog_name="gradient-async")
def app() -> None:
    """The backups of DigitalOcean Droplets: list them, and see whether all are protected."""


@app.command(
    short_help="List the backups of Droplets.",
    epilog="""\b
Examples:
  gradient-async backups --simulate
  gradient-async backups 3164444 3164445
  gradient-async backups --tag-name env:prod --dry-run
  gradient-async backups --format jsonl --output backups.jsonl
  gradient-async backups --resume backups.jsonl.partial
""",
)
@droplet_ids_argument
@click.option(
    "--rows",
    type=click.Choice(["backup", "droplet"]),
    help="One row for each backup or for each Droplet, in table and csv.  "
    "[default: droplet in the table of a whole account, else backup]",
)
@click.option(
    "--resume",
    metavar="FILE",
    help="Complete an export in jsonl that was cut off, such as backups.jsonl.partial, which then "
    "becomes backups.jsonl. Droplets that it has without an error are not asked about again.",
)
@account_options
@connection_options
@destination_options
def backups(
    connection: Connection, destination: Destination, account: Account, **chosen: Any
) -> int:
    """List the backups of Droplets, or of all GPU Droplets of the account.

    json and jsonl have an object for each Droplet: {"droplet_id", "droplet_name", "backups",
    "error"}; the name is null for Droplets that were named by ID. Each Droplet has at least one
    row in csv; what it does not have is empty. Exits with 1 when Droplets could not be listed; they
    are named on stderr.
    """
    from .listings import list_backups

    return list_backups(connection, destination, account, **chosen)


@app.command(
    short_help="List the backup policies of Droplets.",
    epilog="""\b
Examples:
  gradient-async policies --simulate
  gradient-async policies 3164444 --format json
""",
)
@droplet_ids_argument
@connection_options
@destination_options
def policies(connection: Connection, destination: Destination, **chosen: Any) -> int:
    """List the backup policies of Droplets, or of all Droplets of the account.

    Droplets whose backups are disabled are listed, too. json and jsonl have an object for each
    Droplet: {"droplet_id", "policy", "error"}.
    """
    from .listings import list_policies

    return list_policies(connection, destination, **chosen)


@app.command(
    "supported-policies",
    epilog="""\b
Example:
  gradient-async supported-policies --simulate
""",
)
@connection_options
@destination_options
def supported_policies(connection: Connection, destination: Destination) -> int:
    """List the plans that Droplets can be backed up by."""
    from .listings import list_supported_policies

    return list_supported_policies(connection, destination)


@app.command(
    short_help="See whether Droplets are backed up as they should be.",
    epilog="""\b
Examples:
  gradient-async audit --simulate --html report.html
  gradient-async audit --max-age 26h --format json --output audit.json
  gradient-async audit --fail-on error,never,overdue --format csv --output audit.csv --force
""",
)
@droplet_ids_argument
@click.option(
    "--max-age",
    type=parse_duration,
    metavar="TIME",
    help="How old the newest backup may be (26h, 1d12h). Default: as the plan of the Droplet says.",
)
@click.option(
    "--grace",
    type=parse_duration,
    default="2h",
    show_default=True,
    metavar="TIME",
    help="How much later than its window a backup may appear.",
)
@click.option(
    "--fail-on",
    type=parse_findings,
    metavar="A,B,...",
    help="The findings that make it exit with 1: " + ", ".join(FINDINGS) + ".  [default: all]",
)
@click.option("--all", "show_ok", is_flag=True, help="List the Droplets that are ok, too.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write a report for the browser, if the audit comes to its end: one page that needs "
    "no network.",
)
@account_options
@connection_options
@destination_options
def audit(
    connection: Connection,
    destination: Destination,
    account: Account,
    max_age: float | None,
    grace: float,
    **chosen: Any,
) -> int:
    """See whether Droplets, or all GPU Droplets of the account, are backed up as they should be.

    Exits with 0 if each is as its policy says, with 1 if there are findings (see --fail-on), with 3
    if the API could not be asked. The table lists the findings, the worst first; csv and jsonl have
    a row for each Droplet, json is {"summary", "droplets"}.
    """
    from .auditing import rules_of, run_audit

    rules = rules_of(max_age, grace)
    return run_audit(connection, destination, account, rules=rules, **chosen)


@app.command(
    short_help="Serve a simulated account on loopback.",
    epilog="""\b
Example, with a second terminal for the second line:
  gradient-async simulate --port 8080
  DIGITALOCEAN_ACCESS_TOKEN=simulated-token GRADIENT_BASE_URL=http://127.0.0.1:8080 \\
      gradient-async backups
""",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Default: any free port.")
@click.option(
    "--droplets",
    type=click.IntRange(0, 100_000),
    default=300,
    show_default=True,
    metavar="N",
    help="How many Droplets there are, all of them with GPUs.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the account.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="N/SECONDS",
    help="A rate limit; may be given more than once. Default: none; the API's: 250/60, 5000/3600.",
)
def simulate(**chosen: Any) -> int:
    """Serve a simulated account on loopback until Ctrl-C or SIGTERM.

    Prints two lines for a shell, with the URL and the token.
    """
    from .demo import serve

    return serve(**chosen)


def run(args: Sequence[str]) -> int:
    """Run the command line.

    Args:
        args: The arguments; without any, the help is shown.

    Returns:
        The exit code.
    """
    occupy_standard_descriptors()
    buffer_standard_streams()
    with sigterm.handled():
        code = _run(args)
    return TERMINATED if code == INTERRUPTED and sigterm.came else code


def _run(args: Sequence[str]) -> int:
    try:
        code = app.main(list(args) or ["--help"], "gradient-async", standalone_mode=False)
    except click.ClickException as error:
        return _told(one_line(error), error.exit_code, args)
    except (click.Abort, KeyboardInterrupt):
        return _told("gradient-async: interrupted", INTERRUPTED, args)
    except SystemExit:
        if COMPLETION in os.environ:
            raise
        return READER_GONE  # nothing else has click end so: nobody reads its help any more
    except ModuleNotFoundError:
        raise
    except Exception as error:
        return _told(f"gradient-async: unexpected {error!r}; --debug shows where", BUG, args)
    return int(code or 0)


def _told(line: str, exit_code: int, args: Sequence[str]) -> int:
    if "--debug" in args:
        tell_as_it_is(traceback.format_exc())
    tell_as_it_is(line)
    return exit_code
