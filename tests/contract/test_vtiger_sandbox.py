"""The connector against the stand-in CRM over HTTP, with its traps set: both were made from the recordings, separately."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.http import guarded
from connectors.roles import OrderRefs, Ref
from connectors.vtiger import VtigerCrm, build
from connectors.vtiger.settings import MODULES
from core import jsontext
from core.errors import Ambiguous, Held, RetryLater
from core.secrets import SecretRef
from mapping.canonical import Account, Address, Contact, Lead, OrderStatus, Person, Probe, SalesOrder
from mapping.woocommerce import WooOptions, order_from_woocommerce
from sandbox.crm import DEFAULT_ACCESS_KEY, Switches, crm_app
from sandbox.serve import running
from tests.contract.vtiger_fakes import OpenGuard, settings

CORPUS = Path(__file__).parent.parent / "fixtures" / "woocommerce" / "orders-corpus.json"
BERLIN = Address(company="Müller & Co KG", line1="Straße 7\\a", city="Berlin", postal_code="10115", country="DE")
PERSON = Person(first_name="Jörg", last_name="O'Neill\\", email="joerg@mueller.example", phone="+49 30 1234567")
LEAD = Lead(
    external_id="shop-lead-1", company="Müller & Co KG", person=PERSON, address=BERLIN, owner="Sales", source="shop"
)
ACCOUNT = Account(
    external_id="shop-account-1", name="Müller & Co KG", email=PERSON.email, phone=PERSON.phone, vat_number="DE123",
    billing=BERLIN, owner="Sales",
)  # fmt: skip
CONTACT = Contact(external_id="shop-contact-1", person=PERSON, address=BERLIN, owner="Sales")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VTIGER_TEST_KEY", DEFAULT_ACCESS_KEY)
    with guarded(OpenGuard()):
        yield


class Stand:
    """A running stand-in and a connector to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.crm = self.connect()
        carriers = [
            {"productname": code, "productcode": code, "unit_price": "0", "discontinued": "1"}
            for code in ("UNKNOWN", "FEE")
        ]
        self.post("seed", {"products": carriers})

    def connect(self, **changes: Any) -> VtigerCrm:
        values = {"url": self.url, "vat_field": "siccode", "owners": {"Sales": "20x2", "Me": "19x1"}}
        return build(settings(**(values | {"access_key": SecretRef("env:VTIGER_TEST_KEY")} | changes)))

    def post(self, what: str, body: Any) -> None:
        httpx.post(f"{self.url}/sandbox/{what}", json=body, trust_env=False).raise_for_status()

    def refs(self, order: SalesOrder, **changes: Any) -> OrderRefs:
        products = self.crm.find_products([line.sku for line in order.lines])
        values = {"external_id": f"shop-order-{order.number}", "account": "", "contact": "", "owner": "Sales"}
        return OrderRefs(**(values | {"products": products} | changes))


@pytest.fixture(params=[7, 8])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with running(crm_app(switches=Switches(php=request.param))) as url:
        made = Stand(url)
        yield made
        made.crm.close()


@pytest.fixture
def modern() -> Iterator[Stand]:
    with running(crm_app()) as url:
        made = Stand(url)
        yield made
        made.crm.close()


def corpus() -> list[SalesOrder]:
    items = jsontext.loads(CORPUS.read_bytes())
    return [order_from_woocommerce(i["order"] | {"refunds": i["refunds"]}, WooOptions("shop")) for i in items]


ORDER = next(order for order in corpus() if order.number == "102")


def _customer(crm: VtigerCrm) -> tuple[str, str]:
    if crm.capabilities().converts_leads:
        lead = crm.create_lead(LEAD)
        assert lead.differences == ()
        assert crm.find_lead("shop-lead-1") == lead.ref
        converted = crm.convert_lead(lead.ref, ACCOUNT, CONTACT)
        account, contact = converted.account, converted.contact
        assert crm.find_lead("shop-lead-1") is None
    else:
        account = crm.create_account(ACCOUNT)
        contact = crm.create_contact(CONTACT, account.ref.id)
    assert account.differences == contact.differences == ()
    return account.ref.id, contact.ref.id


def test_an_order_from_customer_to_invoice(stand: Stand) -> None:
    crm = stand.crm
    assert [finding for finding in crm.check() if finding.level != "ok"] == []
    account, contact = _customer(crm)
    (found,) = crm.find_customer(Probe(email=PERSON.email.upper()))
    assert (found.id, found.account_id, found.external_id) == (contact, account, "shop-contact-1")
    assert [party.id for party in crm.find_customer(Probe(vat_number="DE123"))] == [account]
    refs = stand.refs(ORDER, account=account, contact=contact)
    crm.check_order_words(refs, ORDER)
    made = crm.create_order(ORDER, refs)
    assert made.differences == ()
    assert crm.find_order(refs.external_id) == [made.ref]
    total = crm.order_total(made.ref)
    assert total is not None
    assert total[0].quantize(Decimal("0.01")) == ORDER.total
    later = crm.update_order(made.ref, ORDER.model_copy(update={"status": OrderStatus.COMPLETED}), refs)
    assert later.differences == ()
    assert crm.order_total(made.ref) == (total[0], "Delivered")
    assert crm.order_total(Ref("6x999999")) is None
    invoice_refs = stand.refs(ORDER, account=account, contact=contact, external_id="shop-invoice-102")
    invoice = crm.create_invoice(ORDER, invoice_refs, made.ref)
    assert invoice.differences == ()
    assert crm.find_invoice("shop-invoice-102") == [invoice.ref]
    listed = {party.id for page in crm.parties_since(None) for party in page.parties}
    assert listed == {account, contact}


def test_all_recorded_orders_arrive_equal_to_the_cent(modern: Stand) -> None:
    account, contact = _customer(modern.crm)
    modern.crm.close()
    # The stand-in has one currency; the yen of the recorded orders are kept in it.
    crm = modern.crm = modern.connect(currencies={"EUR": "21x1", "JPY": "21x1"})
    for order in corpus():
        refs = modern.refs(order, account=account, contact=contact)
        made = crm.create_order(order, refs)
        assert made.differences == (), order.number
        total = crm.order_total(made.ref)
        assert total is not None
        assert total[0].quantize(Decimal("0.0001")) == order.total


def test_a_taken_name_is_a_conflict(modern: Stand) -> None:
    _customer(modern.crm)
    with pytest.raises(Held) as caught:
        modern.crm.create_account(ACCOUNT)
    assert (caught.value.error_class, caught.value.field) == ("duplicate/conflict", "accountname")


def test_php_warnings_before_the_json(stand: Stand) -> None:
    stand.post("switches", {"display_errors": "notices"})
    account, contact = _customer(stand.crm)
    made = stand.crm.create_order(ORDER, stand.refs(ORDER, account=account, contact=contact))
    assert made.differences == ()


def test_lost_lines_are_repaired(modern: Stand) -> None:
    account, contact = _customer(modern.crm)
    modern.post("faults", {"script": [{"fault": "lost_line", "operation": "create"}]})
    made = modern.crm.create_order(ORDER, modern.refs(ORDER, account=account, contact=contact))
    assert {d.action for d in made.differences} == {"repaired"}
    total = modern.crm.order_total(made.ref)
    assert total is not None
    assert total[0].quantize(Decimal("0.01")) == ORDER.total


@pytest.mark.parametrize("fault", ["empty_500", "empty_500_after", "lost_answer"])
def test_an_unanswered_write_is_ambiguous_and_can_be_looked_up(modern: Stand, fault: str) -> None:
    account, contact = _customer(modern.crm)
    refs = modern.refs(ORDER, account=account, contact=contact)
    modern.post("faults", {"script": [{"fault": fault, "operation": "create", "module": "SalesOrder"}]})
    with pytest.raises(Ambiguous):
        modern.crm.create_order(ORDER, refs)
    assert len(modern.crm.find_order(refs.external_id)) == (0 if fault == "empty_500" else 1)


def test_expired_sessions_are_renewed_on_reads_and_writes(modern: Stand) -> None:
    modern.post("expire-sessions", {})
    assert modern.crm.find_order("nothing") == []
    modern.post("expire-sessions", {})
    assert modern.crm.create_lead(LEAD).differences == ()


def test_maintenance_stops_the_connection(modern: Stand) -> None:
    modern.crm.find_order("nothing")
    modern.post("faults", {"script": [{"fault": "maintenance"}]})
    with pytest.raises(RetryLater) as caught:
        modern.crm.find_order("nothing")
    assert caught.value.scope == "connection"


def test_without_the_custom_field_check_refuses_and_nothing_is_written() -> None:
    with running(crm_app(custom_field=False)) as url, closing(Stand(url).crm) as crm:
        missing = [finding.subject for finding in crm.check() if finding.level == "problem"]
        assert missing == [f"{module}.cf_external_id" for module in MODULES]
        with pytest.raises(Held) as caught:
            crm.create_lead(LEAD)
        assert caught.value.error_class == "configuration"


def test_a_standard_user_can_work_and_check_says_what_it_cannot_see(modern: Stand) -> None:
    with closing(modern.connect(username="apiuser")) as crm:
        found = {finding.subject: finding for finding in crm.check() if finding.level != "ok"}
        assert {subject for subject, finding in found.items() if finding.level == "problem"} == set()
        assert found["owner Me"].level == "warning"
        assert crm.create_lead(LEAD).differences == ()
