"""Everything that is run on this project, by name: ``nox -l`` lists it.

``nox`` alone runs what has to pass before a change is proposed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "typing", "docs", "generated"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
KILLED = 0.9
"""The share of mutants that the tests have to kill."""
PYTHONS = nox.project.python_versions(PYPROJECT)


def install(session: nox.Session, *groups: str, package: str | None = "-e.[cli,speed]") -> None:
    """Install dependency groups and, unless `package` is None, the package."""
    requirements = nox.project.dependency_groups(PYPROJECT, *groups)
    session.install(*requirements, *([package] if package else []))


def lower_bounds() -> list[str]:
    """Turn each ``name>=version`` that the package and its command line need into ``==``."""
    project = PYPROJECT["project"]
    needed = map(Requirement, project["dependencies"] + project["optional-dependencies"]["cli"])
    return [f"{need.name}=={bound.version}" for need in needed for bound in need.specifier]


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests with branch coverage on the Python that runs nox; arguments go to pytest."""
    install(session, "test")
    session.run("pytest", "--cov", "--cov-report=term", *session.posargs)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run the tests on every supported Python that this machine has."""
    install(session, "test")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the tests on the oldest Python, each dependency at its lower bound."""
    groups = nox.project.dependency_groups(PYPROJECT, "test")
    with TemporaryDirectory() as directory:
        constraints = Path(directory) / "lower-bounds.txt"
        constraints.write_text("\n".join(lower_bounds()))
        session.install("-e.[cli]", *groups, "--constraint", str(constraints))
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and docstrings; `-- --fix` mends what can be mended."""
    install(session, "lint", package=None)
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--check"]))
    session.run("interrogate", "gradient_async")
    # Only the tests: to ruff, unlike interrogate, a coroutine within a test is no public function.
    session.run("interrogate", "tests", "--ignore-regex", "^(?!test_|Test)")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types with mypy and pyright, and that all that the package shows is typed."""
    install(session, "typing")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "gradient_async", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html; any warning is an error."""
    install(session, "docs", "test")
    session.run("sphinx-build", "-n", "-W", "--keep-going", "docs", "docs/_build/html")


@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples of the documentation, with the frameworks that the guides show."""
    install(session, "test", "examples")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
def generate(session: nox.Session) -> None:
    """Write the blocking client and the raw views from the asynchronous source."""
    install(session, "lint", package=None)
    session.run("python", "-m", "gradient_async._generate")


@nox.session
def generated(session: nox.Session) -> None:
    """Fail where the generated code is not what `generate` would write."""
    install(session, "lint", package=None)
    session.run("python", "-m", "gradient_async._generate", "--check")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the client beside its peers, all in turn; arguments as in benchmarks/README.md."""
    install(session, "bench", package=".[cli,speed]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def campaign(session: nox.Session) -> None:
    """Send 100,000 requests with each client, one in ten through a fault; see `-- --help`."""
    install(session, "test")
    for client in ("async", "blocking"):
        arguments = ("--client", client, *session.posargs)
        session.run("python", "-m", "faults.campaign", *arguments, env={"PYTHONPATH": "tests"})


@nox.session
def leaks(session: nox.Session) -> None:
    """Make and drop clients by the thousand, and fail where anything is left."""
    install(session, "test")
    development = ("-X", "dev", "-W", "error")
    command = ("python", *development, "-m", "leaks.rounds", *session.posargs)
    session.run(*command, env={"PYTHONPATH": "tests"})


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the decoder and the header parser for five minutes each; arguments go to libFuzzer."""
    install(session, "fuzz")
    for target in ("decode", "headers"):
        command = ("python", "-m", f"fuzz.{target}", "-max_total_time=300", *session.posargs)
        session.run(*command, env={"PYTHONPATH": "tests"})


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the pure modules in every small way, and fail where the tests miss one in ten.

    Arguments name the mutants, as in `-- "gradient_async._retry*"`; see `mutmut show` for one.
    """
    install(session, "mutation")
    session.run("mutmut", "run", "--max-children", "2", *session.posargs)
    session.run("mutmut", "results")
    session.run("mutmut", "export-cicd-stats", silent=True)
    counts = json.loads((ROOT / "mutants" / "mutmut-cicd-stats.json").read_text())
    caught = counts["killed"] + counts["timeout"]
    tested = caught + counts["survived"] + counts["no_tests"] + counts["suspicious"]
    session.log(f"{caught} of {tested} mutants were killed")
    if caught < KILLED * tested:
        session.error(f"less than {KILLED:.0%}")


@nox.session
def vulnerabilities(session: nox.Session) -> None:
    """Look up the newest versions of all dependencies in the advisories of PyPI."""
    session.install("-e.[cli,speed]")
    with TemporaryDirectory() as directory:
        installed = Path(directory) / "installed.txt"
        frozen = session.run("pip", "freeze", "--exclude-editable", silent=True)
        installed.write_text(str(frozen))
        install(session, "vulnerabilities", package=None)
        exact = ("--strict", "--no-deps", "--disable-pip")
        session.run("pip-audit", *exact, "--requirement", str(installed), *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and the sdist into dist/, check both, and test the installed wheel."""
    install(session, "wheel", "test", package=None)
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build")
    wheel, sdist = (str(next(dist.glob(pattern))) for pattern in ("*.whl", "*.tar.gz"))
    session.run("twine", "check", "--strict", wheel, sdist)
    session.run("check-wheel-contents", wheel)
    session.install("--force-reinstall", "--no-deps", wheel)
    session.install(f"{wheel}[cli]")
    # Away from the tree, which would be imported in place of the installed package.
    with TemporaryDirectory() as directory, session.chdir(directory):
        shutil.copytree(ROOT / "tests", "tests")
        shutil.copy(ROOT / "setup.cfg", ".")
        session.run("pytest", "--ignore=tests/test_house.py", *session.posargs)
