"""`[[reps]]`: what is refused, with its sentence."""

from __future__ import annotations

import pytest

from core.config import Kind, parse
from tests.unit.core.test_config import KINDS as OTHERS
from tests.unit.core.test_config import ShopSettings


class ErpSettings(ShopSettings):
    connector: str = "books"  # type: ignore[assignment]


KINDS = {**OTHERS, "books": Kind("books", "erp", ErpSettings)}
GOOD = """\
[[connection]]
name = "crm"
connector = "crm"
access_key = "env:CRM_KEY"
owners = { anna = "19x5" }

[[connection]]
name = "erp"
connector = "books"
url = "https://erp.example"
key = "env:SHOP_KEY"

[[reps]]
name = "reps"
source = "erp"
target = "crm"
owner = "anna"
nobody = ["anna"]
zone = "Europe/Rome"
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    monkeypatch.setenv("CRM_KEY", "s3cret")


def said(text: str) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in parse(text, KINDS).problems]


def test_a_good_flow() -> None:
    (flow,) = parse(GOOD, KINDS).required().reps
    assert (flow.name, flow.target, flow.queue, flow.ownership, flow.poll) == ("reps", "crm", "sync", "erp", 60)
    assert flow.assign == ("account", "contact", "order")


def test_without_a_target() -> None:
    text = GOOD.replace('target = "crm"\n', "")
    (flow,) = parse(text, KINDS).required().reps
    assert flow.target == ""


@pytest.mark.parametrize(
    ("before", "after", "path", "words"),
    [
        ('source = "erp"', 'source = "crm"', "reps.reps.source", "must be an ERP"),
        ('source = "erp"', 'source = "epr"', "reps.reps.source", "no connection named 'epr'"),
        ('target = "crm"', 'target = "erp"', "reps.reps.target", "must be a CRM"),
        ('owner = "anna"', 'owner = "ana"', "reps.reps.owner", "has no 'ana'"),
        ('nobody = ["anna"]', 'nobody = ["bob"]', "reps.reps.nobody", "has no 'bob'"),
        ('zone = "Europe/Rome"', 'zone = "Rome"', "reps.reps.zone", "no time zone Rome"),
        ('zone = "Europe/Rome"', 'queue = "live"', "reps.reps.queue", "sync"),
        ('zone = "Europe/Rome"', "polls = 5", "reps.reps.polls", "polls"),
    ],
)
def test_mistakes_have_their_place(before: str, after: str, path: str, words: str) -> None:
    found = said(GOOD.replace(before, after))
    assert [one for one in found if one[0] == path and words in one[1]], found


def test_names_ways_and_zones_of_several() -> None:
    second = '[[reps]]\nname = "more"\nsource = "erp"\ntarget = "crm"\nzone = "Asia/Tokyo"\n'
    messages = [message for _, message in said(GOOD + second)]
    assert any("goes from erp to crm already" in message for message in messages)
    assert any("give them one zone" in message for message in messages)
    same = '[[reps]]\nname = "reps"\nsource = "erp"\nzone = "Europe/Rome"\n'
    assert any("is taken by the reps on line" in message for _, message in said(GOOD + same))
    flow = '[[connection]]\nname = "shop"\nconnector = "shop"\nurl = "https://x.example"\nkey = "env:SHOP_KEY"\n'
    flow += '[[flow]]\nname = "reps"\nsource = "shop"\ntarget = "crm"\n'
    assert any("is taken by a flow" in message for _, message in said(GOOD + flow))


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_REPS__REPS__POLL", "5")
    (flow,) = parse(GOOD, KINDS).required().reps
    assert flow.poll == 5
