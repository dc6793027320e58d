"""The HTML report in headless Chromium: it draws, sorts and filters, and asks nobody for anything.

Without Chromium these tests are skipped; where the variable REQUIRE_BROWSER is set they fail, so
that CI, which installs it, cannot forget them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pytest

from gradient_async.audit import Finding, FleetAudit, audit_fleet
from gradient_async.errors import APIConnectionError
from gradient_async.testing import Fleet, SimulatedBackup
from gradient_async.types import (
    Backup,
    Droplet,
    DropletBackupPolicy,
    DropletBackups,
    DropletNextBackupWindow,
    Policy,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.timeout(120)

HOSTILE = "<script>alert('name')</script><b>bold</b>"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DROPLETS = 60
NONE = "\N{EN DASH}"


def missing(reason: str) -> None:
    """Skip, or fail where there has to be a browser."""
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


def account(count: int, *, with_names: bool = False) -> FleetAudit:
    """The audit of a simulated account with a gap, a failed listing and a hostile name.

    Args:
        count: The number of Droplets.
        with_names: Whether the names of the Droplets are known.
    """
    fleet = Fleet.generate(count)
    policies: dict[int, Policy] = {}
    results: list[DropletBackups] = []
    for droplet in fleet.droplets.values():
        record, window = droplet.backup_policy, droplet.next_backup_window
        policies[droplet.id] = Policy(
            record is not None,
            DropletBackupPolicy(**record) if record else None,
            droplet.id,
            DropletNextBackupWindow(*window) if window else None,
        )
        results.append(DropletBackups(droplet.id, [real(item) for item in droplet.backups]))
    results[0] = attrs.evolve(results[0], backups=results[0].backups[:3] + results[0].backups[4:])
    named = [attrs.evolve(item, name=HOSTILE) for item in results[1].backups]
    results[1] = attrs.evolve(results[1], backups=named)
    results[2] = DropletBackups(results[2].droplet_id, error=APIConnectionError(HOSTILE))
    if with_names:
        names = [HOSTILE, *(droplet.name for droplet in fleet.droplets.values())][:count]
        results = [
            attrs.evolve(result, droplet=Droplet(result.droplet_id, name))
            for result, name in zip(results, names, strict=True)
        ]
    return audit_fleet(policies, results, now=fleet.now, grace=timedelta(hours=2))


def real(item: SimulatedBackup) -> Backup:
    """The backup that a client makes of a simulated one."""
    return Backup(
        id=item.id,
        created_at=item.created_at,
        min_disk_size=item.min_disk_size,
        name=item.name,
        regions=list(item.regions),
        size_gigabytes=item.size_gigabytes,
        type="backup",
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it."""
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
    )
    if not path:
        missing("Chromium is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
        raise
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@attrs.frozen
class Shown:
    """A report that is open, and what happened in it."""

    page: Page
    requests: list[str]
    complaints: list[str]

    def column(self, number: int) -> list[str]:
        """The first line of each cell of a column, counted from 1."""
        cells = self.page.locator(f"#rows tr > :nth-child({number}) > div:first-child")
        return cells.all_text_contents()

    def status(self) -> str:
        """What is said about the choice."""
        return self.page.locator("#status").inner_text()

    def drawn(self, name: str) -> list[Any]:
        """The rows of the picture in which something is drawn."""
        rows: list[Any] = self.page.evaluate(
            "name => document.getElementById('picture').data.find(t => t.name === name).y", name
        )
        return rows

    def sort(self, title: str) -> str | None:
        """Press the button of a column; gives the order that is announced."""
        button = self.page.locator("thead").get_by_role("button", name=title, exact=True)
        button.click()
        return button.locator("..").get_attribute("aria-sort")


Open: TypeAlias = Callable[..., Shown]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on disk."""
    pytest.importorskip("plotly", reason="the extra [cli] is not installed")
    from gradient_async.cli.html_report import render_report

    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(account(DROPLETS), title=HOSTILE), encoding="utf-8")
    return path


@pytest.fixture
def open_report(browser: Browser, report: Path) -> Iterator[Open]:
    """Opens the report; in the end nothing was requested but the file, and nothing complained."""
    opened: list[Shown] = []

    def open_it(path: Path = report, **options: Any) -> Shown:
        wanted: dict[str, Any] = {"viewport": {"width": 1500, "height": 900}, **options}
        page = browser.new_context(**wanted).new_page()
        shown = Shown(page, [], [])
        page.on("request", lambda request: shown.requests.append(request.url))
        page.on("console", lambda message: shown.complaints.append(message.text))
        page.on("pageerror", lambda error: shown.complaints.append(str(error)))
        page.on("dialog", lambda dialog: shown.complaints.append(dialog.message))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        opened.append(shown)
        return shown

    yield open_it
    for shown in opened:
        shown.page.context.close()
        assert shown.requests == [shown.page.url.partition("#")[0]]
        assert shown.complaints == []


def test_first_page_shows_the_urgent_first(open_report: Open) -> None:
    """25 Droplets are shown, the most urgent first, and the picture is drawn beside them."""
    shown = open_report()
    assert shown.status() == f"Showing 1 to 25 of {DROPLETS} Droplets."
    assert len(shown.column(1)) == 25
    assert shown.column(2)[0] == "✕ Error"
    assert shown.page.locator("#picture svg.main-svg").count() > 0
    assert shown.page.locator("#picture .scatterlayer .point").count() > 25


def test_rows_of_table_and_picture_are_level(open_report: Open) -> None:
    """A row's time line is at the height of the row, so that the eye can follow."""
    shown = open_report()
    tops: list[float] = shown.page.evaluate(
        """() => {
          const box = element => element.getBoundingClientRect();
          const plot = box(document.querySelector("#picture .nsewdrag"));
          const rows = [...document.querySelectorAll("#rows tr")].map(box);
          return [plot.top - rows[0].top, plot.bottom - rows.at(-1).bottom];
        }"""
    )
    assert all(abs(distance) <= 2 for distance in tops)


def test_gaps_are_drawn(open_report: Open) -> None:
    """Overdue and short Droplets have a red gap in their row, others have none."""
    shown = open_report()
    findings = shown.column(2)
    gaps = {findings[row] for row in shown.drawn("gap")}
    assert gaps == {"! Overdue", "◔ Short"}
    covered = {findings[row] for row in shown.drawn("covered")}
    assert covered == {"! Overdue", "◔ Short", "✓ OK"}


@pytest.mark.parametrize(("title", "column"), [("Droplet", 1), ("Backups", 5), ("GB", 6)])
def test_sorts_by_numbers(open_report: Open, title: str, column: int) -> None:
    """A column sorts up and down over all Droplets, not only over those that are shown."""
    shown = open_report()
    shown.page.select_option("#size", "100")
    order = shown.sort(title)
    up = [float(text.replace(",", "")) for text in shown.column(column)]
    assert (order, len(up)) == ("ascending", DROPLETS)
    assert up == sorted(up)
    assert shown.sort(title) == "descending"
    down = [float(text.replace(",", "")) for text in shown.column(column)]
    assert down == sorted(up, reverse=True)
    assert shown.page.locator("th[aria-sort]").count() == 1


def test_sorts_by_age_with_none_last(open_report: Open) -> None:
    """Droplets without a backup come after all others, whichever way ages are sorted."""
    shown = open_report()
    shown.page.select_option("#size", "100")
    for expected in ("descending", "ascending"):
        assert shown.sort("Newest") == expected
        ages = shown.column(4)
        first_without = ages.index(NONE)
        assert set(ages[first_without:]) == {NONE}
        assert len(ages) == DROPLETS


def test_filters_by_finding(open_report: Open) -> None:
    """Without the tick of a finding its Droplets are gone, from the table and from the picture."""
    shown = open_report()
    overdue = account(DROPLETS).counts[Finding.OVERDUE]
    for box in shown.page.locator("[name=finding]").all():
        if box.get_attribute("data-finding") != "overdue":
            box.uncheck()
    assert set(shown.column(2)) == {"! Overdue"}
    assert f"of {overdue} Droplets, chosen from {DROPLETS}." in shown.status()
    assert set(shown.drawn("gap")) == set(range(overdue))


def test_filters_by_words_and_plan(open_report: Open) -> None:
    """All words must be found, in any column, and the plan must be the one that is chosen."""
    shown = open_report()
    shown.page.fill("#search", "GPU-train  ok")
    assert set(shown.column(2)) == {"✓ OK"}
    names = shown.page.locator("#rows tr > :nth-child(1) .minor").all_text_contents()
    assert names
    assert all(name.startswith("gpu-train") for name in names)
    shown.page.fill("#search", "")
    shown.page.select_option("#plan", "weekly")
    assert set(shown.column(3)) == {"weekly"}
    shown.page.fill("#search", "no such Droplet")
    assert (shown.column(1), shown.status()) == ([], "No Droplet matches.")
    shown.page.get_by_role("button", name="Reset").click()
    assert len(shown.column(1)) == 25


def test_pages(open_report: Open) -> None:
    """Every Droplet is on exactly one page; the buttons stop at either end."""
    shown = open_report()
    previous = shown.page.get_by_role("button", name="Previous")
    following = shown.page.get_by_role("button", name="Next", exact=True).last
    seen = shown.column(1)
    assert previous.is_disabled()
    while following.is_enabled():
        following.click()
        seen += shown.column(1)
    assert len(seen) == len(set(seen)) == DROPLETS
    assert previous.is_enabled()


def test_hostile_names_stay_text(open_report: Open) -> None:
    """A name or an error with a script in it is shown as it is written, and does not run."""
    shown = open_report()
    assert shown.page.title() == HOSTILE
    shown.page.fill("#search", "alert")
    assert len(shown.column(1)) == 2
    assert HOSTILE in shown.page.locator("#rows").inner_text()
    assert shown.page.locator("#rows script, #rows b").count() == 0


def test_droplets_have_their_names(open_report: Open, tmp_path: Path) -> None:
    """Where names are known they come first, in an order that counts; the ID stands below."""
    from gradient_async.cli.html_report import render_report

    path = tmp_path / "named.html"
    path.write_text(render_report(account(DROPLETS, with_names=True)), encoding="utf-8")
    shown = open_report(path)
    shown.page.select_option("#size", "100")
    assert shown.sort("Droplet") == "ascending"
    names = shown.column(1)
    assert names[0] == HOSTILE
    numbers = [int(name.rpartition("-")[2]) for name in names if name.startswith("gpu-train")]
    assert numbers == sorted(numbers)
    ids = shown.page.locator("#rows tr > :nth-child(1) .minor").all_text_contents()
    assert set(map(int, ids)) == set(Fleet.generate(DROPLETS).droplets)
    shown.page.set_viewport_size({"width": 480, "height": 900})
    shown.page.wait_for_selector("#picture .ytick text")
    assert shown.page.locator("#picture .ytick text").all_text_contents() == names


def test_works_with_the_keyboard_alone(open_report: Open) -> None:
    """From the top, Tab reaches the skip link, the filters and the head of the table."""
    shown = open_report()
    keyboard = shown.page.keyboard
    keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.className") == "skip"
    keyboard.press("Enter")
    keyboard.press("Tab")
    keyboard.press("Space")
    assert "✓ OK" not in shown.column(2)
    assert "chosen from" in shown.status()
    shown.page.locator("th[data-key=title] button").focus()
    keyboard.press("Enter")
    assert shown.page.locator("th[data-key=title]").get_attribute("aria-sort") == "ascending"
    assert shown.page.evaluate("document.activeElement.parentElement.dataset.key") == "title"


def luminance(color: str) -> float:
    """The relative luminance of an ``rgb()`` color, as WCAG defines it."""
    parts = [int(part) / 255 for part in color[4:-1].split(",")]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(open_report: Open, scheme: str) -> None:
    """In light and dark, text stands out by 4.5 to 1 from what is behind it."""
    shown = open_report(color_scheme=scheme)
    pairs: list[list[str]] = shown.page.evaluate(
        """() => [...document.querySelectorAll("body, .tile dt, .badge, .minor, th button, label")]
          .map(element => {
            let behind = element;
            const back = e => getComputedStyle(e).backgroundColor;
            while (back(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
            return [getComputedStyle(element).color, back(behind)];
          })"""
    )
    assert len(pairs) > 50
    for one, other in {(one, other) for one, other in pairs}:
        light, dark = sorted([luminance(one), luminance(other)], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (one, other)
    assert (luminance(pairs[0][1]) > 0.5) == (scheme == "light")


def test_narrow_screen_names_the_rows_of_the_picture(open_report: Open) -> None:
    """Where the picture is below the table, its rows carry the IDs, and nothing is cut off."""
    shown = open_report(viewport={"width": 480, "height": 900})
    labels = shown.page.locator("#picture .ytick text").all_text_contents()
    assert labels == shown.column(1)
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_scripts_the_summary_is_there(report: Path, browser: Browser) -> None:
    """Where scripts are switched off, the figures are shown, and why there is no table."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(report.as_uri())
    assert page.get_by_text("Protected").is_visible()
    assert page.get_by_text("a script of this page, which does not run").is_visible()
    page.context.close()


def test_five_thousand_droplets(browser: Browser, tmp_path: Path) -> None:
    """A large fleet keeps the document small: only the rows that are shown are in it."""
    pytest.importorskip("plotly", reason="the extra [cli] is not installed")
    from gradient_async.cli.html_report import render_report

    path = tmp_path / "large.html"
    path.write_text(render_report(account(5000)), encoding="utf-8")
    assert path.stat().st_size < 4_000_000
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#status").inner_text() == "Showing 1 to 25 of 5,000 Droplets."
    assert page.locator("*").count() < 5000
    page.close()
