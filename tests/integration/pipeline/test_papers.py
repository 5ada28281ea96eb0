"""Order confirmation and invoice reach the customer once, by a real mail server, and stay the same for ever."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pypdf import PdfReader

from connectors import smtp
from connectors.roles import Request
from core import config
from core.errors import Held
from core.jsontext import dumps
from core.keys import Key
from core.letters import Attachment
from core.settings import KeepSettings, SellerSettings
from ledger.messages import digest_of
from ledger.runs import mark
from pipelines import mailing, paperdesk, papers, schedules, wiring
from pipelines.context import Context
from pipelines.desk import Unknown
from sandbox.mail import MailApp, mail_app
from sandbox.serve import running
from tests.integration.ledger import kit
from tests.integration.pipeline.conftest import Maker
from tests.orders import ADA, order
from tests.world import SkippingClock, World, signed_headers

SELLER = SellerSettings(name="Lampenladen GmbH", address=("Hamburg",), zone="Europe/Berlin")
PAID = "2026-11-20T10:30:00"
LATER = "2026-11-20T11:00:00"


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    return kit.sqlite_copy(sqlite_template, tmp_path)


@pytest.fixture(scope="module")
def server() -> Iterator[MailApp]:
    app = mail_app()
    with running(app):
        yield app


@pytest.fixture
def box(server: MailApp) -> MailApp:
    server.box.clear()
    server.box.answers.clear()
    return server


def world(make: Maker, box: MailApp, **flow: Any) -> World:
    """A world on the day of the orders of tests.orders."""
    wanted = {"via": "mail", "order": True, **flow.pop("papers", {})}
    clock = SkippingClock()
    made = make(clock=clock, papers=wanted, **{"invoices": "on_paid", **flow})
    made.context.seller = SELLER
    made.context.messengers = {
        "mail": smtp.build(
            smtp.SmtpSettings(
                name="mail", host="127.0.0.1", port=box.smtp_port, security="none", sender="shop@laden.example"
            ),
            clock=clock,
        )
    }
    return made


def placed(clock: Any, days: float = 0.0) -> str:
    return f"{clock.now() - timedelta(days=days):%Y-%m-%dT%H:%M:%S}"


def text_of(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return "\n".join(page.extract_text() for page in pages).replace("\u00a0", " ")


def kept(context: Context, kind: Any, order: int = 1, flow: str = "shop-orders") -> bytes:
    found = context.ledger.papers.get(papers.key_of(flow, f"shop/order/{order}", kind))
    assert found is not None
    return papers.document(context, found).body


def fresh(world: World, id: int = 1, **over: Any) -> dict[str, Any]:
    return order(id, date_created_gmt=placed(world.clock), **over)


def test_both_papers_arrive_once_with_their_copies_on_the_account(make: Maker, box: MailApp) -> None:
    one = world(make, box)
    made = fresh(one, date_paid_gmt=None)
    one.carry(made)
    assert [mail.head("Subject") for mail in box.box.mails] == ["Ihre Bestellung 1 bei Lampenladen GmbH"]
    one.carry({**made, "date_modified_gmt": LATER, "date_paid_gmt": PAID})
    one.carry({**made, "date_modified_gmt": "2026-11-20T12:00:00", "date_paid_gmt": PAID, "status": "completed"})
    one.drain()

    confirmation, invoice = box.box.mails
    [row] = one.records("Invoice")
    assert invoice.head("Subject") == f"Rechnung {row['invoice_no']} zu Ihrer Bestellung 1"
    assert {mail.to for mail in (confirmation, invoice)} == {("ada@office.example",)}
    assert invoice.head("Content-Language") == "de"
    [(name, media_type, body)] = invoice.attachments
    assert (name, media_type) == (f"Rechnung {row['invoice_no']}.pdf", "application/pdf")
    text = text_of(body)
    total = f"{Decimal(made['total']):.2f}".replace(".", ",")
    assert f"Gesamtbetrag {total} €" in text
    assert f"Rechnung {row['invoice_no']}" in text
    assert Decimal(row["hdnGrandTotal"]) == Decimal(made["total"])
    assert kept(one.context, "invoice") == body, "the very same file can be had later"

    comments = one.records("ModComments")
    assert {comment["related_to"] for comment in comments} == {one.order(1)["account_id"]}
    assert sorted(comment["commentcontent"].split(" [")[0] for comment in comments) == [
        "Sent: Ihre Bestellung 1 bei Lampenladen GmbH",
        f"Sent: Rechnung {row['invoice_no']} zu Ihrer Bestellung 1",
    ]


def test_an_invoice_stays_what_it_was_and_a_confirmation_follows_the_order(make: Maker, box: MailApp) -> None:
    one = world(make, box)
    made = fresh(one, date_paid_gmt=PAID)
    one.carry(made)
    invoice, confirmation = kept(one.context, "invoice"), kept(one.context, "order")
    changed = order(
        1, (("OF-100", 3, "10.00"),), date_created_gmt=made["date_created_gmt"], date_paid_gmt=PAID, modified=LATER
    )
    one.carry(changed)
    assert kept(one.context, "invoice") == invoice
    assert kept(one.context, "order") != confirmation
    assert len(box.box.mails) == 2


def total_in(text: str) -> set[str]:
    """The totals that a German text names."""
    return set(re.findall(r"Gesamtbetrag(?: ist)? ([\d.,]+) €", text.replace("\u00a0", " ")))


def said(mail: Any) -> tuple[set[str], set[str]]:
    """The totals in the text of a mail and in the paper with it."""
    [(_, _, pdf)] = mail.attachments
    return total_in(mail.text), total_in(text_of(pdf))


def german(total: str) -> str:
    return f"{Decimal(total):.2f}".replace(".", ",")


def test_a_confirmation_that_waits_says_one_total_when_it_leaves(make: Maker, box: MailApp) -> None:
    """The order changes between the wanting of the letter and its sending: text and paper are of the same state."""
    one = world(make, box)
    made = fresh(one, date_paid_gmt=None)
    box.box.answers["ada@office.example"] = "450 4.2.1 Later"
    one.carry(made)
    assert box.box.mails == []
    changed = order(
        1, (("OF-100", 3, "10.00"),), date_created_gmt=made["date_created_gmt"], date_paid_gmt=None, modified=LATER
    )
    assert changed["total"] != made["total"]
    one.carry(changed)
    assert box.box.mails == []
    box.box.answers.clear()
    one.finish()
    [mail] = box.box.mails
    assert said(mail) == ({german(changed["total"])},) * 2
    [message] = one.ledger.messages.about("shop/order/1")
    assert total_in(message.text) == {german(changed["total"])}, "what is kept, and noted in the CRM, is what was sent"
    [note] = one.records("ModComments")
    assert total_in(note["commentcontent"]) == {german(changed["total"])}
    assert message.digest == digest_of(message.subject, message.text, [papers_file(one)])


def papers_file(one: World) -> Attachment:
    return Attachment("", papers.PDF, kept(one.context, "order"))


def test_an_invoice_that_waits_says_what_was_invoiced(make: Maker, box: MailApp) -> None:
    """It is wanted only once there is an address; by then the order has changed, and the invoice has not."""
    one = world(make, box, papers={"order": False})
    made = fresh(one, date_paid_gmt=PAID, billing={**ADA, "email": ""})
    one.carry(made)
    assert box.box.mails == []
    lines = (("OF-100", 3, "10.00"),)
    changed = order(
        1, lines, date_created_gmt=made["date_created_gmt"], date_paid_gmt=PAID, modified=LATER, billing=ADA
    )
    one.carry(changed)
    one.finish()
    [mail] = box.box.mails
    assert said(mail) == ({german(made["total"])},) * 2


def test_what_was_forgotten_is_neither_shown_nor_sent_again(make: Maker, box: MailApp) -> None:
    one = world(make, box)
    made = fresh(one, date_paid_gmt=PAID)
    one.carry(made)
    assert len(box.box.mails) == 2
    one.context.keep = KeepSettings(letters=7, held=7, papers=30)
    one.clock.skip(31 * 86_400)  # type: ignore[union-attr]
    assert mailing.forget(one.context) == 4
    key = Key("shop", "order", "1")
    assert list(paperdesk.papers_of(one.context, key)) == []
    assert len(paperdesk.letters_of(one.context, key)) == 2
    with pytest.raises(Unknown, match="no such paper"):
        paperdesk.file(one.context, "shop-orders", "invoice", "shop/order/1", actor="anna")
    one.carry(
        {**made, "date_modified_gmt": LATER, "status": "completed", "billing": {**ADA, "email": "b@office.example"}}
    )
    one.finish()
    assert len(box.box.mails) == 2
    assert list(paperdesk.papers_of(one.context, key)) == []
    found = one.ledger.papers.get(papers.key_of("shop-orders", "shop/order/1", "invoice"))
    assert found is not None
    with pytest.raises(Held, match="was forgotten"):
        papers.document(one.context, found)


SILENT: tuple[tuple[str, dict[str, Any], dict[str, Any], list[str]], ...] = (
    ("nothing is switched on", {"papers": {"via": ""}}, {}, []),
    ("the invoice only", {"papers": {"order": False}}, {}, ["Rechnung"]),
    ("no invoice of ours", {"invoices": "never"}, {}, ["Ihre"]),
    ("cancelled before anybody was told", {}, {"status": "cancelled"}, []),
    ("no address", {}, {"billing": {**ADA, "email": ""}}, []),
    ("another language", {"papers": {"order": False}}, {"billing": {**ADA, "country": "IT"}}, ["Fattura"]),
    (
        "a language nobody knows",
        {"papers": {"order": False, "language": "ru"}},
        {"billing": {**ADA, "country": "JP"}},
        ["Счёт"],
    ),
)


@pytest.mark.parametrize(("flow", "over", "subjects"), [case[1:] for case in SILENT], ids=[case[0] for case in SILENT])
def test_who_is_sent_what(
    make: Maker, box: MailApp, flow: dict[str, Any], over: dict[str, Any], subjects: list[str]
) -> None:
    one = world(make, box, **flow)
    one.carry(fresh(one, date_paid_gmt=PAID, **over))
    assert [mail.head("Subject").split()[0] for mail in box.box.mails] == subjects
    job = one.job("shop/order/1")
    assert any("no e-mail address" in warning for warning in job.warnings) == (
        over.get("billing", {}).get("email") == ""
    )


def test_what_is_old_is_not_sent(make: Maker, box: MailApp) -> None:
    one = world(make, box, papers={"days": 7})
    one.carry(order(1, date_created_gmt=placed(one.clock, days=8)))
    assert box.box.mails == []
    assert kept(one.context, "order")
    one.carry(order(2, date_created_gmt=placed(one.clock, days=6)))
    assert len(box.box.mails) == 1


def test_a_rehearsal_writes_to_nobody_and_without_a_seller_there_are_no_papers(make: Maker, box: MailApp) -> None:
    one = world(make, box)
    one.ledger.flows.set("shop-orders", "rehearse")
    one.deliver(fresh(one))
    one.drain()
    assert (box.box.mails, one.ledger.papers.of_order("shop/order/1")) == ([], [])
    one.context.seller = SellerSettings()
    one.ledger.flows.set("shop-orders", "live")
    one.ledger.flows.wake_rehearsed("shop-orders")
    one.drain()
    assert one.job("shop/order/1").state == "settled"
    assert (box.box.mails, one.ledger.papers.of_order("shop/order/1")) == ([], [])


def test_a_refused_address_is_held_and_mended_in_the_store(make: Maker, box: MailApp) -> None:
    one = world(make, box)
    made = fresh(one, billing={**ADA, "email": "unknown@office.example"})
    one.carry(made)
    [held] = one.ledger.jobs.list(state="held")
    assert (held.field, "unknown@office.example" in held.reason) == ("address", True)
    one.carry({**made, "date_modified_gmt": LATER, "billing": ADA})
    one.drain()
    assert [mail.to for mail in box.box.mails] == [("ada@office.example",)]
    assert one.ledger.jobs.list(state="held") == []
    one.carry({**made, "date_modified_gmt": "2026-11-20T12:00:00", "billing": {**ADA, "email": "new@office.example"}})
    one.drain()
    assert len(box.box.mails) == 1, "what has left is not sent to the next address too"
    [message] = one.ledger.messages.about("shop/order/1")
    assert message.to == "ada@office.example"


def test_what_a_backfill_brings_is_sent_to_nobody(make: Maker, box: MailApp) -> None:
    one = world(make, box)
    run = one.ledger.runs.begin("backfill", "shop-orders", {"invoices": True})
    body = dumps(fresh(one, date_paid_gmt=PAID)).encode()
    changes = one.stores["shop"].receive(
        Request("POST", signed_headers(body, "order.created"), body, one.context.clock.now())
    )
    one.ledger.inbox.accept(changes, one.context.routes, fetchable=False, correlation=mark(run.id))
    one.drain()
    assert len(one.records("Invoice")) == 1
    assert box.box.mails == []
    assert text_of(kept(one.context, "invoice"))


CONFIGURATION = """
[seller]
name = "Laden"
[[connection]]
name = "mail"
connector = "smtp"
host = "mail.example"
sender = "a@laden.example"
[[connection]]
name = "talk"
connector = "apprise"
urls = ["env:CHAT"]
[[connection]]
name = "ops"
connector = "webhook"
url = "https://ops.example"
secret = "env:HOOK"
"""


def test_the_configuration_says_who_sells_and_what_carries_letters(make: Maker) -> None:
    settings = config.parse(CONFIGURATION, wiring.kinds(), with_secrets=False).required()
    wired = wiring.build(settings)
    try:
        made = wiring.context(settings, make().ledger, wired)
        assert set(made.messengers) == {"mail", "talk"}, "a webhook tells programs, not people"
        assert made.seller.name == "Laden"
        assert "messages" in {one.name for one in schedules.of(made)}
    finally:
        wired.close()


def test_an_invoice_of_which_no_day_is_known_is_of_the_sellers_day() -> None:
    """Made at half past midnight in Berlin."""
    link: Any = SimpleNamespace(remote_id="7x1", created_at=datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    ledger = SimpleNamespace(invoices=SimpleNamespace(of_order=lambda *_: []))
    run: Any = SimpleNamespace(
        ledger=ledger,
        context=SimpleNamespace(seller=SELLER),
        flow=SimpleNamespace(name="shop-orders"),
    )
    order: Any = SimpleNamespace(key="shop/order/1")
    assert papers._issued(run, order, link).date().isoformat() == "2026-11-23"
