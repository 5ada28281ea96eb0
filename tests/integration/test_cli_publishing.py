"""`orderwire reps publish` as people use it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ledger import Ledger
from ledger.jobs import JobView
from ledger.reps import Answer
from tests import cli_desk
from tests.cli_desk import Typed

file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed
PORTALS = """
[[connection]]
name = "erp"
connector = "tryton"
url = "http://127.0.0.1:9/"
database = "tryton"
username = "u"
password = "env:OW_CARE_SECRET"
[[connection]]
name = "ks"
connector = "kommerce"
folder = "import"
rep_column = 25
[[connection]]
name = "extranet"
connector = "push"
url = "http://127.0.0.1:9/cards"
secret = "env:OW_CARE_SECRET"
[[reps]]
name = "reps"
source = "erp"
portals = ["ks", "extranet"]
"""


@pytest.fixture(autouse=True)
def with_portals(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OW_CARE_SECRET", "secret")
    with Path(file).open("a", encoding="utf-8") as text:
        text.write(PORTALS)


def job(ledger: Ledger, key: str) -> JobView:
    (found,) = ledger.jobs.list(search=key)
    return found


@pytest.mark.parametrize(("options", "asked"), [((), "wanted"), (("--confirm",), "forced")])
def test_a_full_pair_is_asked_for(typed: Typed, ledger: Ledger, options: tuple[str, ...], asked: str) -> None:
    said = typed("reps", "publish", "ks", *options)
    assert "ks is told everything anew." in said
    assert ledger.cursors.get("ks/full") == asked
    found = job(ledger, "ks/files/erp")
    assert (found.state, found.target) == ("waiting", "ks")
    (noted,) = ledger.audit.list(action="portal.publish")
    assert (noted.actor, noted.subject) == ("mira (command line)", "ks")
    assert noted.facts == {"flow": "reps"} | ({"confirmed": "yes"} if options else {})


def test_every_card_is_told_once_more(typed: Typed, ledger: Ledger) -> None:
    for number in ("1", "2"):
        ledger.reps.save_card(
            "erp", number, Answer(card="{}", digest=number, seen_on=date(2026, 11, 20), resolution="{}"), concerns=[]
        )
    typed("reps", "publish", "extranet")
    for number in ("1", "2"):
        assert job(ledger, f"extranet/card/{number}").state == "waiting"


@pytest.mark.parametrize("portal", ["crm", "nowhere"])
def test_a_portal_that_nobody_tells(typed: Typed, ledger: Ledger, portal: str) -> None:
    typed("reps", "publish", portal, code=2)
    assert f"No flow tells a portal '{portal}'. What to do: name one of extranet, ks." in typed.err
    assert ledger.cursors.get("ks/full") is None
    assert ledger.audit.list(action="portal.publish") == []
