"""The HTML report as text: complete, self-contained, and safe whatever the API sends."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("jinja2", reason="the extra [cli] is not installed")
pytest.importorskip("plotly", reason="the extra [cli] is not installed")

from gradient_async.audit import Finding, FleetAudit, audit_fleet
from gradient_async.cli.html_report import FIELDS, LABELS, MEANINGS, render_report
from gradient_async.errors import APIConnectionError
from gradient_async.types import Backup, Droplet, DropletBackupPolicy, DropletBackups, Policy

NOW = datetime(2026, 9, 1, 13, 30, tzinfo=UTC)
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u2028'\""


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        """Parse a page."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        """Keep the text of a script."""
        if self.elements and self.elements[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data

    def data(self, name: str) -> Any:
        """The JSON of a script that holds data."""
        return json.loads(self.text(name))

    def text(self, name: str) -> str:
        """The text of the script with an ID."""
        scripts = [attributes for tag, attributes in self.elements if tag == "script"]
        return self.scripts[[attributes.get("id") for attributes in scripts].index(name)]

    def rows(self) -> list[dict[str, Any]]:
        """The Droplets by field."""
        data = self.data("data")
        return [dict(zip(data["fields"], row, strict=True)) for row in data["rows"]]


def backup(made: datetime, name: str = "gpu-1") -> Backup:
    """A backup of 10.5 GB."""
    return Backup(1, made, 720, name, ["nyc2"], 10.5, "backup")


def fleet_of(text: str, count: int = 2) -> FleetAudit:
    """Droplets that carry a text wherever the API can send one."""
    policy = Policy(True, DropletBackupPolicy(plan=text, retention_period_days=7))
    results = [
        DropletBackups(number, [backup(NOW - number * timedelta(hours=5), text)])
        for number in range(1, count)
    ]
    failed = DropletBackups(count, error=APIConnectionError(text), droplet=Droplet(count, text))
    policies = dict.fromkeys(range(1, count + 1), policy)
    return audit_fleet(policies, [*results, failed], now=NOW)


def test_rows_hold_what_the_audit_found() -> None:
    """Each Droplet is a row of the page's data, times as minutes before the audit's moment."""
    page = Page(render_report(fleet_of("daily")))
    one, two = page.rows()
    assert tuple(one) == FIELDS
    assert page.data("data")["now"] * 60 == NOW.timestamp()
    assert page.data("findings") == [finding.value for finding in Finding]
    assert one["finding"] == Finding.OK.severity
    assert two["finding"] == Finding.ERROR.severity
    assert (one["id"], one["name"], one["backupName"]) == (1, None, "daily")
    assert (one["plan"], one["retention"]) == ("daily", 7)
    assert (one["age"], one["allowed"], one["times"]) == (300, 1800, [300])
    assert (one["count"], one["promised"], one["gigabytes"]) == (1, 1, 10.5)


def test_hostile_text_stays_text() -> None:
    """Names, plans, errors and the title can neither end a script nor begin an element."""
    harmless = Page(render_report(fleet_of("daily"), title="title"))
    hostile = Page(render_report(fleet_of(EVIL), title=EVIL))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    one, two = hostile.rows()
    assert (one["backupName"], one["plan"], two["name"]) == (EVIL, EVIL, EVIL)
    assert EVIL in two["reason"]


@given(st.text(max_size=40))
def test_any_text_survives(text: str) -> None:
    """Whatever the API sends, the page can be written as UTF-8 and its data read again."""
    page = render_report(fleet_of(text)).encode().decode()
    assert Page(page).rows()[0]["backupName"] == text


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No element names an address, and the policy of the page admits no connection."""
    page = Page(render_report(fleet_of("daily")))
    addresses = [
        value
        for _, attributes in page.elements
        for name in ("src", "href", "action", "srcset")
        if (value := attributes.get(name))
    ]
    assert addresses == ["data:,", "#droplets"]
    [policy] = [
        attributes["content"] or ""
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "unsafe-eval" not in policy


def test_policy_names_the_scripts_by_their_hashes() -> None:
    """Only the script of the page and the drawing library may run."""
    text = render_report(fleet_of("daily"))
    page = Page(text)
    library = gzip.decompress(base64.b64decode(page.text("library"))).decode()
    for script in (page.scripts[-1], library):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in text
    assert re.search("MIT license", library[:500])


def test_page_is_the_same_for_the_same_audit() -> None:
    """Nothing in the page is random: two reports of one audit can be compared."""
    audit = fleet_of("daily")
    assert render_report(audit, generated_at=NOW) == render_report(audit, generated_at=NOW)


def test_summary_is_plain_html() -> None:
    """The figures can be read without running a script."""
    audit = audit_fleet(
        {1: Policy(True, DropletBackupPolicy(plan="daily")), 2: Policy(False)},
        [DropletBackups(1, [backup(NOW - timedelta(hours=13))]), DropletBackups(2)],
        now=NOW,
    )
    page = render_report(audit, title="Fleet & Co", generated_at=NOW)
    for text in (
        "Fleet &amp; Co",
        "50.0 %",
        "1 of 2 Droplets",
        "13 h",
        "in 1 backup<",
        "Droplet that is not OK",
        "Droplet 1",
    ):
        assert text in page
    assert 'aria-label="Droplets by finding: 1 OK, 1 Disabled"' in page
    assert "2026-09-01 13:30 UTC" in page
    assert "a grace of 2 h" in page


def test_max_age_is_named() -> None:
    """A page that judged by a maximal age says so."""
    audit = audit_fleet({}, [], now=NOW, max_age=timedelta(hours=26))
    assert "a backup may be 1 d 2 h old" in render_report(audit)


def test_empty_fleet_has_a_page() -> None:
    """An account without Droplets gives a page without rows."""
    page = Page(render_report(audit_fleet({}, [], now=NOW)))
    assert page.rows() == []


def test_every_finding_has_its_words() -> None:
    """A new finding needs a label, a sign and a meaning."""
    assert set(LABELS) == set(MEANINGS) == set(Finding)


def test_a_droplet_takes_little_space() -> None:
    """A thousand Droplets more make the page larger by less than 300 kB."""
    small, large = (len(render_report(fleet_of("daily", count))) for count in (2, 1002))
    assert large - small < 300_000
