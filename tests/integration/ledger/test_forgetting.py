"""Papers, letters and alerts that are over are forgotten in their time; that a letter was sent never is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from ledger import Ledger
from ledger import messagetables as m
from ledger.jobs import Outcome
from ledger.messages import Attachment, NewMessage, digest_of
from ledger.papers import KeptPaper
from ledger.stockalerts import Low
from ledger.stocktables import stock_alert
from tests.integration.ledger.kit import plans

YEAR = timedelta(days=365)
DAY_MICROS = 86_400_000_000
LETTER = NewMessage("paper/orders/order/shop/order/1", "orders", "mail", "anna@example.org", "R-1", "Guten Tag, Anna")


def paper(issued: datetime, key: str = LETTER.key, body: str = "Anna, Ladenstrasse 5") -> KeptPaper:
    return KeptPaper(key, "orders", "shop/order/1", "order", "1", "de", issued, body)


def body_of(ledger: Ledger, key: str = LETTER.key) -> str:
    found = ledger.papers.get(key)
    assert found is not None
    assert found.emptied == (not found.body)
    return found.body


def sent(ledger: Ledger, how: str) -> None:
    """The letter of the paper, and what became of it."""
    if how == "none":
        return
    assert ledger.messages.want(LETTER)
    if how == "waits":
        return
    claim = ledger.jobs.claim("w")
    assert claim is not None
    if how == "held":
        ledger.jobs.settle(claim, Outcome("held", "No such user. What to do: x."))
        return
    ledger.messages.sending(claim)
    if how in {"sent", "sent and forgotten"}:
        ledger.messages.became(claim, "sent")
    if how == "sent and forgotten":
        ledger.jobs.settle(claim, Outcome("settled"))
        with ledger.db.write() as connection:
            connection.execute(sa.update(m.message).values(created_at=m.message.c.created_at - 2 * DAY_MICROS))
        assert ledger.messages.forget(timedelta(days=1)) == 1


CASES = (
    ("none", 366, True, "nobody was sent it"),
    ("none", 364, False, "it is not old enough"),
    ("waits", 366, False, "its letter may still leave"),
    ("held", 366, False, "a person may still send it"),
    ("sending", 366, False, "nobody knows yet whether it left"),
    ("sent", 366, True, "it is where it belongs"),
    ("sent", 364, False, "it is not old enough, though its letter has left"),
    ("sent and forgotten", 366, True, "its letter has left, and is forgotten itself"),
)


@pytest.mark.parametrize(("letter", "days", "gone", "why"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_what_stands_on_a_paper_is_forgotten(ledger: Ledger, letter: str, days: int, gone: bool, why: str) -> None:
    issued = ledger.clock.now() - timedelta(days=days)
    assert ledger.papers.keep(paper(issued), once=False)
    sent(ledger, letter)
    assert ledger.papers.forget(YEAR) == int(gone), why
    assert ledger.papers.forget(YEAR) == 0
    assert body_of(ledger) == ("" if gone else "Anna, Ladenstrasse 5")
    [row] = ledger.papers.of_order("shop/order/1")
    assert (row.number, row.emptied) == ("1", gone)
    if letter != "none":
        assert not ledger.messages.want(LETTER), "the same letter is wanted once for ever"


@pytest.mark.parametrize("once", [True, False])
def test_what_was_forgotten_is_not_written_down_again(ledger: Ledger, once: bool) -> None:
    """The shop touches an old order: neither the same nor another state of it comes back."""
    issued = ledger.clock.now() - 2 * YEAR
    assert ledger.papers.keep(paper(issued), once=once)
    assert ledger.papers.forget(YEAR) == 1
    for body in ("Anna, Ladenstrasse 5", "Anna, elsewhere now"):
        assert not ledger.papers.keep(paper(issued, body=body), once=once)
        assert body_of(ledger) == ""


def test_many_papers_are_forgotten_in_parts(ledger: Ledger) -> None:
    issued = ledger.clock.now() - 2 * YEAR
    for number in range(450):
        ledger.papers.keep(paper(issued, key=f"k{number}"), once=True)
    ledger.papers.keep(paper(ledger.clock.now(), key="young"), once=True)
    assert ledger.papers.forget(YEAR) == 450
    assert body_of(ledger, "young")


def test_that_it_was_sent_is_known_for_ever(ledger: Ledger) -> None:
    """Key, hash, moment and account stay when text, name, address and attachments go."""
    pdf = Attachment("R-1.pdf", "application/pdf", b"%PDF")
    ledger.messages.want(replace(LETTER, name="Anna", attachments=(pdf,), crm="crm", account="11x7"))
    claim = ledger.jobs.claim("w")
    assert claim is not None
    digest = digest_of("R-1", "Guten Tag, Anna", [pdf])
    ledger.messages.sending(claim, digest=digest, subject="R-1", text="Guten Tag, Anna", language="de")
    ledger.messages.became(claim, "sent")
    ledger.jobs.settle(claim, Outcome("settled"))
    with ledger.db.write() as connection:
        connection.execute(sa.update(m.message).values(created_at=m.message.c.created_at - 2 * DAY_MICROS))
    assert ledger.messages.forget(timedelta(days=1)) == 1
    left = ledger.messages.of_key(LETTER.key)
    assert left is not None
    assert (left.digest, left.crm, left.account, left.sent) == (digest, "crm", "11x7", True)
    assert left.sent_at is not None
    assert (left.to, left.name, left.text, ledger.messages.attachments(left.id)) == ("", "", "", ())
    others = [("R-2", left.subject), ("R-1", "Guten Tag, Anna "), ("R-1G", "uten Tag, Anna")]
    assert digest not in {digest_of(subject, text, [pdf]) for subject, text in others}
    assert digest != digest_of("R-1", "Guten Tag, Anna", [])


def test_alerts_that_have_long_been_over_are_removed(ledger: Ledger) -> None:
    alerts = ledger.stock.alerts
    skus = ("open", "just over", "long over", "long over, told", "long over, told and cleared")
    alerts.open("erp", [Low("main", sku, sku, "anna", Decimal(5), None, Decimal(1)) for sku in skus])
    ids = {alert.sku: alert.id for alert in alerts.open_of("erp").values()}
    told = [alert for alert in alerts.open_of("erp").values() if "told" in alert.sku]
    assert alerts.tell("anna", told, 0, lambda _connection: None)
    alerts.close({id: None for sku, id in ids.items() if sku != "open"}, "risen")
    alert = stock_alert.c
    with ledger.db.write() as connection:
        connection.execute(sa.update(stock_alert).where(alert.sku.endswith("cleared")).values(cleared=True))
        old = sa.update(stock_alert).where(alert.sku != "just over")
        connection.execute(old.values(opened_at=alert.opened_at - 400 * DAY_MICROS))
        connection.execute(
            sa.update(stock_alert)
            .where(alert.sku.startswith("long over"))
            .values(closed_at=alert.closed_at - 366 * DAY_MICROS)
        )
    assert alerts.forget(YEAR) == 3
    assert alerts.forget(YEAR) == 0
    assert {one.sku for one in alerts.listed(closed=True)} == {"just over"}
    assert {one.sku for one in alerts.listed()} == {"open"}, "however old it is"
    assert alerts.uncleared("anna") == []


def test_forgetting_letters_finds_each_job_by_its_key(ledger: Ledger) -> None:
    """And so do a page that shows letters and a letter that goes to another address, among a million jobs and letters."""
    assert ledger.messages.want(replace(LETTER, concern="shop/order/1"))
    with plans(ledger, "job") as found:
        ledger.messages.forget(timedelta(days=1))
        [letter] = ledger.messages.about("shop/order/1")
        assert len(ledger.messages.jobs_of([letter])) == 1
        assert ledger.messages.readdress(letter, "anna@example.com")
    by_key = "(flow=? AND connection=? AND kind=? AND record_id=?)"
    assert [by_key in plan for plan in found] == [True] * 3 * ledger.db.is_sqlite, found
    with plans(ledger, "message") as found:
        ledger.messages.about("shop/order/1")
    assert ["ix_message_concern" in plan for plan in found] == [True] * ledger.db.is_sqlite, found
