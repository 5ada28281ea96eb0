"""Alerts and board keep their promises: every alert has a page for whoever is woken by it, every panel a unit."""

from __future__ import annotations

import re
import tomllib

import pytest

from core.version import VERSION
from pipelines.metrics import Metrics
from tests.monitoring import BOARD_FILE, EXPRESSIONS, ROOT, balanced, board, metrics_of, rules, words_of

FUNCTIONS = {"absent", "max", "min", "sum", "rate", "histogram_quantile", "max_over_time", "time"}
UNITS = {"none", "short", "s", "ops", "reqps", "cpm"}
PARTS = ("What it means for the business", "Look at", "Do", "When to call")
RUNBOOKS = ROOT / "docs" / "runbooks"


def test_the_alerts_that_are_promised() -> None:
    assert [rule["alert"] for rule in rules()] == [
        "OrderwireNotScraped",
        "OrderwireLedgerAway",
        "OrderwireConnectorOut",
        "OrderwireOrdersWaitTooLong",
        "OrderwireOrdersHeld",
        "OrderwireScheduleLate",
        "OrderwireBudgetUsedUp",
        "OrderwireWebhooksSilent",
    ]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_it_is_and_where_to_read_on(rule: dict[str, dict[str, str]]) -> None:
    assert re.fullmatch(r"\d+[smh]", str(rule["for"]))
    assert rule["labels"]["severity"] in {"warning", "critical"}
    notes = rule["annotations"]
    assert notes["summary"]
    assert notes["description"].endswith(".")
    page = (ROOT / notes["runbook_url"]).read_text(encoding="utf-8")
    assert notes["runbook_url"].startswith("docs/runbooks/")
    assert f"`{rule['alert']}`" in page
    assert all(f"**{part}" in page for part in PARTS)
    assert len(page.splitlines()) <= 40, "one page"


def test_every_runbook_has_its_alert() -> None:
    named = {rule["annotations"]["runbook_url"] for rule in rules()}
    assert named == {f"docs/runbooks/{page.name}" for page in RUNBOOKS.glob("*.md")}


def test_links_between_runbooks_lead_somewhere() -> None:
    for page in RUNBOOKS.glob("*.md"):
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


def test_alerts_rest_on_the_ledger_alone() -> None:
    """What a process counts itself begins anew with it, and a worker of its own is not scraped."""
    counted = {family.name for family in Metrics().registry.collect()}
    for rule in rules():
        bases = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in metrics_of(str(rule["expr"]))}
        assert bases
        assert not bases & counted, rule["alert"]


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_expressions_are_made_of_known_words(where: str, expression: str) -> None:
    assert balanced(expression), where
    assert metrics_of(expression), where
    assert words_of(expression) - FUNCTIONS == set(metrics_of(expression)), where
    # A counter is only ever looked at as a rate: its value begins anew with each process.
    for counter in re.findall(r"orderwire_\w+_(?:total|bucket|sum|count)\b", expression):
        assert f"rate({counter}" in expression, where


def test_the_board_can_be_imported() -> None:
    made = board()
    assert made["uid"] == "orderwire"
    assert [one["type"] for one in made["templating"]["list"]] == ["datasource"]
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"]) >= 15
    for panel in made["panels"]:
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert "http" not in BOARD_FILE.read_text(encoding="utf-8")


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
