"""The generic push: signed as Standard Webhooks say, one state under one id, and nothing that is not released."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from connectors import push
from connectors.http import guarded
from connectors.roles import CardPortal, FilePortal, Publication
from core.errors import Ambiguous, ConfigurationProblem, Held, LeaseLost, RetryLater
from core.keys import Key
from core.secrets import SecretRef
from mapping.canonical import ErpCustomer
from mapping.cards import Card, CardRep
from pipelines.telling import Outside
from tests.receiver import SECRET, Receiver


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_TEST_PUSH", SECRET)


def publication(name: str = "Mia Muster", **more: Any) -> Publication:
    customer = ErpCustomer(
        key=Key("erp", "customer", "10017"), name="Blue Ltd", vat_number="DE1", email="b@blue.example"
    )
    rep = CardRep(name=name, email="mia@firm.example", code="R7", agency="A1")
    return Publication("erp", customer, Card(customer="10017", name="Blue Ltd", reps=(rep,)), **more)


def test_what_leaves_the_house_is_the_card_and_no_more() -> None:
    receiver = Receiver()
    with guarded(Outside()):
        receiver.portal().publish(publication(), id="card_1", version=3)
    (message,) = receiver.messages
    assert set(message) == {"type", "timestamp", "data"}
    assert set(message["data"]) == {"source", "customer", "card", "version"}
    assert message["data"]["card"]["reps"][0]["name"] == "Mia Muster"
    text = json.dumps(message)
    assert not [word for word in ("Blue Ltd", "DE1", "b@blue.example", "R7", "A1") if word in text]


def test_one_who_is_gone_is_named_and_nothing_else() -> None:
    receiver = Receiver()
    with guarded(Outside()):
        receiver.portal().publish(publication(gone=True), id="card_1", version=4)
    (message,) = receiver.messages
    assert message["type"] == "portal.card.removed"
    assert message["data"] == {"source": "erp", "customer": "10017", "version": 4}


def test_a_digest_is_of_what_would_be_sent() -> None:
    portal = Receiver().portal()
    assert portal.digest(publication()) == portal.digest(publication())
    assert portal.digest(publication()) != portal.digest(publication("Leo Long"))
    named = publication().customer.model_copy(update={"name": "Red Ltd"})
    assert portal.digest(publication()) == portal.digest(Publication("erp", named, publication().card))


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, RetryLater), (503, RetryLater), (404, RetryLater), (401, RetryLater), (422, Held), (599, Ambiguous)],
)
def test_what_an_answer_means(status: int, error: type[Exception]) -> None:
    receiver = Receiver(answer=lambda _number: status)
    portal = receiver.portal(connect_timeout=0.5, read_timeout=0.5)
    with guarded(Outside()), pytest.raises(error) as found:
        portal.publish(publication(), id="card_1", version=1)
    assert "Blue" not in str(found.value)


def test_a_later_state_over_there_is_well() -> None:
    receiver = Receiver(answer=lambda _number: 409)
    with guarded(Outside()):
        receiver.portal().publish(publication(), id="card_1", version=1)
    assert receiver.seen == 1


def test_nothing_is_pushed_outside_of_a_job() -> None:
    receiver = Receiver()
    with pytest.raises(LeaseLost):
        receiver.portal().publish(publication(), id="card_1", version=1)
    assert receiver.seen == 0


def test_a_secret_of_another_kind_is_found_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver()
    portal = receiver.portal()
    assert portal.check()[0].level == "ok"
    monkeypatch.setenv("ORDERWIRE_TEST_PUSH", "whsec_")
    assert portal.check()[0].level == "problem"
    with guarded(Outside()), pytest.raises(ConfigurationProblem, match="whsec_"):
        portal.publish(publication(), id="card_1", version=1)
    assert receiver.seen == 0


@pytest.mark.parametrize("url", ["ftp://portal.example", "portal.example", "https://user:word@portal.example/"])
def test_an_address_that_cannot_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        push.PushSettings(name="extranet", url=url, secret=SecretRef("env:ORDERWIRE_TEST_PUSH"))


def test_it_takes_cards_and_no_files() -> None:
    portal = push.build(
        push.PushSettings(name="extranet", url="https://portal.example/", secret=SecretRef("env:X")),
        transport=httpx.MockTransport(lambda _r: httpx.Response(204)),
    )
    assert isinstance(portal, CardPortal)
    assert not isinstance(portal, FilePortal)
    portal.close()
