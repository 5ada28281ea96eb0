"""vtiger as a CRM: what is asked before, what is written, and what is done about each of its silent changes."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.http import guarded
from connectors.roles import Crm, CrmProduct, OrderRefs, Ref, Tier
from core.errors import Ambiguous, Held, RetryLater
from core.keys import Key
from mapping.canonical import (
    Account,
    Address,
    Contact,
    Customer,
    Lead,
    LineKind,
    OrderLine,
    OrderStatus,
    PaymentStatus,
    Person,
    SalesOrder,
    TaxAmount,
)
from tests.contract.vtiger_fakes import FakeVtiger, Json, OpenGuard, Page, Refuse, StillClock, connector

FIXTURES = Path(__file__).parent.parent / "fixtures" / "vtiger"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
D = Decimal
BERLIN = Address(line1="Hauptstr. 1", city="Berlin", postal_code="10115", country="DE")
JOERG = Person(first_name="Jörg", last_name="Müller", email="j@example.test", phone="+49 30 1234567")
PRODUCTS = {
    "A": CrmProduct("14x1", "A", taxes=frozenset({"tax1"})),
    "B": CrmProduct("14x2", "B", taxes=frozenset({"tax1", "tax2"})),
}
REFS = OrderRefs("shop-order-1", "11x1", "12x1", "Anna", PRODUCTS, status="Created")


def line(sku: str, net: str, tax: str, **changes: Any) -> OrderLine:
    values: Json = {"id": sku, "sku": sku, "name": f"Item {sku}", "subtotal": D(net), "net": D(net)}
    return OrderLine(**(values | {"taxes": (TaxAmount(rate=D(19), amount=D(tax)),)} | changes))


def order(*lines: OrderLine, **changes: Any) -> SalesOrder:
    lines = lines or (line("A", "100", "19.00"), line("B", "50", "9.50"))
    values: Json = {
        "key": Key("shop", "order", "1"), "stamp": NOW, "number": "1001", "status": OrderStatus.PENDING, "placed_at": NOW,
        "currency": "EUR", "customer": Customer(key=Key("shop", "customer", "1")), "billing": BERLIN, "shipping": BERLIN,
        "lines": lines, "total": sum((part.net + part.tax for part in lines), D(0)),
    }  # fmt: skip
    return SalesOrder(**(values | changes))


def describe(params: Json) -> Json:
    path = next(FIXTURES.glob(f"0*-describe-{params['elementType']}.json"))
    answer: Json = json.loads(path.read_text())["response"]["json"]["result"]
    for name in ("cf_external_id", "cf_861"):
        answer["fields"].append({"name": name, "label": name, "mandatory": False, "type": {"name": "string"}})
    return answer


class Install:
    """Keeps what it is sent as vtiger does; `spoil` changes an answer before it is given, so many times."""

    def __init__(self) -> None:
        self.spoil: list[Any] = []
        self.products = {
            "14x1": {"id": "14x1", "productcode": "A", "productname": "Item A", "discontinued": "1", "tax1": "19.000"},
            "14x8": {
                "id": "14x8",
                "productcode": "UNKNOWN",
                "productname": "Unknown",
                "discontinued": "1",
                "tax1": "0.000",
            },
            "14x9": {"id": "14x9", "productcode": "FEE", "productname": "Fee", "discontinued": "1", "tax1": "0.000"},
        }
        self.kept: dict[str, Json] = {}
        self.fake = FakeVtiger(
            describe=describe, create=self.create, revise=self.revise, retrieve=self.retrieve, query=self.query,
            convertlead=self.convert,
        )  # fmt: skip

    def create(self, params: Json) -> Json:
        prefix = {"SalesOrder": "6", "Invoice": "7", "Leads": "10", "Accounts": "11", "Contacts": "12"}[
            params["elementType"]
        ]
        id = f"{prefix}x{len(self.kept) + 100}"
        return self._answer({**params["element"], "id": id, "salesorder_no": "SO1", "invoice_no": "INV1"})

    def revise(self, params: Json) -> Json:
        element = params["element"]
        return self._answer({**self.kept[element["id"]], "invoicestatus": "", **element})

    def _answer(self, record: Json) -> Json:
        self.kept[record["id"]] = deepcopy(record)
        answer = deepcopy(record)
        if "LineItems" in answer:
            self._totals(answer)
        if self.spoil:
            self.spoil.pop(0)(answer)
        return answer

    @staticmethod
    def _totals(answer: Json) -> None:
        total = float(answer["txtAdjustment"]) + float(answer.get("shipping_&_handling", 0)) * (
            1 + float(answer.get("shipping_&_handling_shtax1", 0)) / 100
        )
        for number, item in enumerate(answer["LineItems"], 1):
            net = float(item["quantity"]) * float(item["listprice"]) - float(item.get("discount_amount", 0))
            total += net * (1 + float(item.get("tax1", 0)) / 100)
            item |= {"sequence_no": str(number), "quantity": f"{float(item['quantity']):.3f}"}
        answer |= {"productid": None, "hdnGrandTotal": total}

    def retrieve(self, params: Json) -> Json:
        found = self.products.get(params["id"]) or self.kept.get(params["id"])
        if found is None:
            raise Refuse("ACCESS_DENIED", "Permission to perform the operation is denied")
        return found

    def query(self, params: Json) -> list[Json]:
        assert " FROM Products WHERE productcode IN (" in params["query"]
        return [row for row in self.products.values() if f"'{row['productcode']}'" in params["query"]]

    def convert(self, params: Json) -> dict[str, str]:
        entities = params["element"]["entities"]
        if not entities:
            raise Refuse("ACCESS_DENIED", "Permission to perform the operation is denied")
        common = {"assigned_user_id": params["element"]["assignedTo"]}
        account, contact = ({k: v for k, v in entities[m].items() if k != "create"} for m in ("Accounts", "Contacts"))
        self.kept["11x50"] = {**account, **common, "id": "11x50"}
        self.kept["12x51"] = {**contact, **common, "id": "12x51", "account_id": "11x50"}
        return {"Accounts": "11x50", "Contacts": "12x51"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("VTIGER_TEST_KEY", "access-key")
    with guarded(OpenGuard()):
        yield


# -- orders ------------------------------------------------------------------------------------------------------------


def test_it_plays_the_role() -> None:
    crm = connector(Install().fake)
    assert isinstance(crm, Crm)
    assert crm.has_owner("Sales")
    assert not crm.has_owner("")
    assert not crm.has_owner("Nobody")


def test_an_order_costs_one_call() -> None:
    install = Install()
    written = connector(install.fake).create_order(order(), REFS)
    assert written.differences == ()
    assert (written.ref.id, written.ref.number) == ("6x100", "SO1")
    assert install.fake.operations() == ["getchallenge", "login", "create"]


def _lose_a_line(answer: Json) -> None:
    del answer["LineItems"][0]
    answer["hdnGrandTotal"] = 59.5


def _set(**values: Any) -> Any:
    return lambda answer: answer.update(values)


def _drop(name: str) -> Any:
    return lambda answer: answer.pop(name)


def test_a_lost_line_is_repaired_with_everything_a_revise_resets() -> None:
    install = Install()
    install.spoil = [_lose_a_line]
    with_shipping = order(shipping_lines=(), total=D("178.50"))
    written = connector(install.fake).create_order(with_shipping, REFS)
    assert [(d.field, d.action) for d in written.differences] == [
        ("LineItems", "repaired"),
        ("hdnGrandTotal", "repaired"),
    ]
    create, revise = install.fake.of("create")[0]["element"], install.fake.of("revise")[0]["element"]
    assert revise["id"] == "6x100"
    assert revise["LineItems"] == create["LineItems"]
    assert {name for name in create if name not in revise} == {"productid", "invoicestatus", "assigned_user_id"}


def test_a_line_lost_twice_is_held() -> None:
    install = Install()
    install.spoil = [_lose_a_line, _lose_a_line]
    written = connector(install.fake).create_order(order(), REFS)
    assert [(d.field, d.action) for d in written.differences] == [("LineItems", "hold"), ("hdnGrandTotal", "hold")]
    assert written.ref.id == "6x100"
    assert install.fake.operations().count("revise") == 1


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_set(assigned_user_id="999"), [("assigned_user_id", "hold")]),
        (_set(account_id=""), [("account_id", "hold")]),
        (_set(contact_id="12x2"), [("contact_id", "hold")]),
        (_set(currency_id="21x2"), [("currency_id", "hold")]),
        (_set(sostatus="Approved"), [("sostatus", "hold")]),
        (_set(cf_external_id=""), [("cf_external_id", "hold")]),
        (_drop("cf_external_id"), [("cf_external_id", "hold")]),
        (_drop("description"), [("description", "hold")]),
        (_set(bill_city="Berl"), [("bill_city", "warn")]),
        (_set(bill_city=None), [("bill_city", "warn")]),
        (_set(bill_street="Hauptstr. 1\r\n"), []),
        (_set(hdnTaxType=""), [("hdnTaxType", "repaired")]),
        (_set(txtAdjustment="0.1"), [("txtAdjustment", "repaired")]),
        (_set(conversion_rate="1.000"), []),
        (_set(hdnGrandTotal=178.50000000000003), []),
        (_set(hdnGrandTotal="178.50000000"), []),
        (_set(hdnGrandTotal=178.49), [("hdnGrandTotal", "repaired")]),
        (_set(hdnGrandTotal=None), [("hdnGrandTotal", "repaired")]),
        (_set(LineItems=None), [("LineItems", "repaired")]),
        (lambda a: a["LineItems"][0].update(productid=""), [("line 1 productid", "repaired")]),
        (lambda a: a["LineItems"][1].update(quantity="0.000"), [("line 2 quantity", "repaired")]),
        (lambda a: a["LineItems"][1].update(listprice="50.00"), []),
        (lambda a: a["LineItems"][1].update(discount_amount="1"), [("line 2 discount_amount", "repaired")]),
        (lambda a: a["LineItems"][1].update(tax2="10.000"), [("line 2 tax2", "repaired")]),
        (lambda a: a["LineItems"][1].update(comment="Item"), [("line 2 comment", "warn")]),
        (lambda a: a["LineItems"].reverse(), []),
    ],
)
def test_each_silent_change_is_seen(spoil: Any, expected: list[tuple[str, str]]) -> None:
    install = Install()
    install.spoil = [spoil]
    written = connector(install.fake).create_order(order(), REFS)
    assert [(d.field, d.action) for d in written.differences] == expected
    assert all("What to do: " in d.message for d in written.differences)
    repairs = any(action == "repaired" for _, action in expected)
    assert install.fake.operations().count("revise") == int(repairs)


def test_emoji_are_taken_out_and_told() -> None:
    written = connector(Install().fake).create_order(order(note="Thanks \U0001f600"), REFS)
    assert [(d.field, d.action) for d in written.differences] == [("description", "warn")]


def test_an_unanswered_create_is_ambiguous_and_not_sent_again() -> None:
    install = Install()

    def die(params: Json) -> None:
        raise Page(500)

    install.fake.answers["create"] = die
    with pytest.raises(Ambiguous):
        connector(install.fake).create_order(order(), REFS)
    assert install.fake.operations().count("create") == 1


def test_an_update_resends_what_a_revise_resets_and_leaves_the_owner() -> None:
    install = Install()
    crm = connector(install.fake)
    made = crm.create_order(order(), REFS)
    install.kept["6x100"]["assigned_user_id"] = "19x7"  # somebody in the CRM took the order over
    written = crm.update_order(
        made.ref, order(line("A", "10", "1.90"), status=OrderStatus.COMPLETED), replace(REFS, status="")
    )
    assert written.differences == ()
    sent = install.fake.of("revise")[0]["element"]
    assert (sent["id"], sent["sostatus"], sent["hdnTaxType"]) == ("6x100", "Delivered", "individual")
    assert len(sent["LineItems"]) == 1
    assert "assigned_user_id" not in sent
    assert install.kept["6x100"]["assigned_user_id"] == "19x7"


def test_an_order_deleted_in_the_crm_is_held() -> None:
    install = Install()

    def gone(params: Json) -> None:
        raise Refuse("ACCESS_DENIED", "Permission to perform the operation is denied")

    install.fake.answers["revise"] = gone
    with pytest.raises(Held) as caught:
        connector(install.fake).update_order(Ref("6x9"), order(), REFS)
    assert caught.value.error_class == "missing reference"


def test_parked_lines_and_fees_go_to_the_configured_products() -> None:
    install = Install()
    crm = connector(install.fake)
    fee = line("", "2", "0", kind=LineKind.FEE, name="Rush", taxes=())
    parts = order(line("A", "10", "1.90"), line("X-1", "5", "0.95"), fee)
    for _ in range(2):
        assert crm.create_order(parts, REFS).differences == ()
    lines = install.fake.of("create")[0]["element"]["LineItems"]
    assert [(item["productid"], item["comment"]) for item in lines] == [
        ("14x1", "Item A"), ("14x8", "X-1 Item X-1"), ("14x9", "Rush"),
    ]  # fmt: skip
    assert install.fake.operations().count("query") == 1  # the two products are remembered


def test_without_the_product_that_carries_them_parked_lines_are_held_and_looked_up_again() -> None:
    install, clock = Install(), StillClock()
    unknown = install.products.pop("14x8")
    crm = connector(install.fake, clock)
    parked = order(line("X-1", "5", "0.95"))
    with pytest.raises(Held) as caught:
        crm.create_order(parked, REFS)
    assert caught.value.error_class == "missing reference"
    install.products["14x8"] = unknown
    clock.seconds += 31
    assert crm.create_order(parked, REFS).differences == ()


def test_a_product_without_tax_is_held_before_anything_is_written() -> None:
    install = Install()
    with pytest.raises(Held, match="no tax1 configured"):
        connector(install.fake).create_order(
            order(), replace(REFS, products={**PRODUCTS, "A": CrmProduct("14x1", "A")})
        )
    assert install.fake.operations() == []


def test_the_fingerprint_follows_what_would_be_written_and_calls_nobody() -> None:
    install = Install()
    crm = connector(install.fake)
    parts = order(line("A", "10", "1.90"), line("X-1", "5", "0.95"))
    same = crm.payload_fingerprint(parts, REFS)
    assert crm.payload_fingerprint(parts, REFS) == same
    assert crm.payload_fingerprint(parts, replace(REFS, owner="Sales")) == same  # an update does not send the owner
    others = [
        crm.payload_fingerprint(parts.model_copy(update={"note": "x"}), REFS),
        crm.payload_fingerprint(parts, replace(REFS, status="Approved")),
        crm.payload_fingerprint(parts, replace(REFS, notes=("x",))),
        crm.payload_fingerprint(parts, replace(REFS, contact="12x2")),
    ]
    assert len({same, *others}) == 5
    # As links have it since before ownership could be configured: another digest would write every order once more.
    assert same == "46eaf90a6d1bed526e1f9e02c860923ffc1e16a608422cdc5974380ea7dc53cb"
    assert install.fake.operations() == []


# -- words before writing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refs", "changes", "field", "words"),
    [
        (replace(REFS, owner="Nobody"), {}, "assigned_user_id", '"Nobody"'),
        (replace(REFS, owner=""), {}, "assigned_user_id", "owners table"),
        (replace(REFS, status="Shipped to Mars"), {}, "sostatus", '"Shipped to Mars"'),
        (replace(REFS, delivery_method="Snail"), {}, "carrier", "BlueDart"),
        (REFS, {"currency": "USD"}, "currency_id", "USD"),
        (REFS, {"custom": (("cf_404", "x"),)}, "cf_404", "cf_404"),
    ],
)
def test_words_the_crm_does_not_have_are_held_before_anything_is_written(
    refs: OrderRefs, changes: Json, field: str, words: str
) -> None:
    install = Install()
    with pytest.raises(Held) as caught:
        connector(install.fake).check_order_words(refs, order(**changes))
    assert caught.value.field == field
    assert words in caught.value.message
    assert "create" not in install.fake.operations()


def test_known_words_pass_and_are_described_once() -> None:
    install = Install()
    crm = connector(install.fake)
    for _ in range(3):
        crm.check_order_words(replace(REFS, delivery_method="DHL", status=""), order(custom=(("cf_861", "x"),)))
    assert install.fake.operations().count("describe") == 1


def test_a_word_added_in_the_crm_is_known_soon() -> None:
    install, clock = Install(), StillClock()
    crm = connector(install.fake, clock)
    refs = replace(REFS, status="Packed")
    with pytest.raises(Held):
        crm.check_order_words(refs, order())

    def described(params: Json) -> Json:
        answer = describe(params)
        field = next(f for f in answer["fields"] if f["name"] == "sostatus")
        field["type"]["picklistValues"].append({"label": "Packed", "value": "Packed"})
        return answer

    install.fake.answers["describe"] = described
    clock.seconds += 31
    crm.check_order_words(refs, order())


@pytest.mark.parametrize(
    ("status", "own", "word"),
    [(OrderStatus.COMPLETED, {}, "Delivered"), (OrderStatus.COMPLETED, {"completed": "Approved"}, "Approved"),
     (OrderStatus.UNKNOWN, {}, "Created"), (OrderStatus.FAILED, {}, "Cancelled")],
)  # fmt: skip
def test_statuses_come_from_the_table(status: OrderStatus, own: dict[str, str], word: str) -> None:
    install = Install()
    connector(install.fake, statuses=own).create_order(order(status=status), replace(REFS, status=""))
    assert install.fake.of("create")[0]["element"]["sostatus"] == word


def test_without_the_external_id_field_nothing_is_written() -> None:
    install = Install()

    def bare(params: Json) -> Json:
        answer = describe(params)
        answer["fields"] = [f for f in answer["fields"] if f["name"] != "cf_external_id"]
        return answer

    install.fake.answers["describe"] = bare
    crm = connector(install.fake)
    account = Account(external_id="a", name="Müller KG", owner="Anna")
    for attempt in (
        lambda: crm.check_order_words(REFS, order()),
        lambda: crm.create_account(account),
        lambda: crm.create_lead(Lead(external_id="l", company="", person=JOERG, address=BERLIN, owner="Anna")),
        lambda: crm.convert_lead(Ref("10x1"), account, Contact(external_id="c", person=JOERG, owner="Anna")),
    ):
        with pytest.raises(Held) as caught:
            attempt()
        assert (caught.value.error_class, caught.value.field) == ("configuration", "cf_external_id")
    assert not {"create", "convertlead"} & set(install.fake.operations())


# -- invoices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("paid", "word"), [(PaymentStatus.PAID, "Paid"), (PaymentStatus.UNPAID, "Created")])
def test_an_invoice_of_the_orders_lines(paid: PaymentStatus, word: str) -> None:
    install = Install()
    crm = connector(install.fake)
    written = crm.create_invoice(order(payment_status=paid), replace(REFS, external_id="shop-invoice-1"), Ref("6x9"))
    assert written.differences == ()
    assert written.ref.number == "INV1"
    sent = install.fake.of("create")[0]
    assert sent["elementType"] == "Invoice"
    element = sent["element"]
    assert (element["salesorder_id"], element["invoicestatus"], element["cf_external_id"]) == (
        "6x9",
        word,
        "shop-invoice-1",
    )
    assert len(element["LineItems"]) == 2


# -- products ----------------------------------------------------------------------------------------------------------


def test_products_are_found_with_their_taxes() -> None:
    install = Install()
    found = connector(install.fake).find_products(["A", "a", "NOPE", "", "\U0001f600", "UNKNOWN", "A"])
    assert set(found) == {"A", "a", "UNKNOWN"}
    assert found["A"] == CrmProduct("14x1", "A", "Item A", frozenset({"tax1"}))
    assert found["a"] == found["A"]
    assert install.fake.operations().count("query") == 1
    assert install.fake.operations().count("retrieve") == 2


def _product(id: str, code: str, active: str = "1") -> Json:
    return {"id": id, "productcode": code, "productname": code, "discontinued": active}


@pytest.mark.parametrize(
    ("rows", "id"),
    [
        ([_product("14x1", "OF-1"), _product("14x2", "of-1")], "14x1"),  # spelled exactly so
        ([_product("14x2", "of-1")], "14x2"),  # the same but for case
        ([_product("14x1", "OF-1", "0"), _product("14x2", "OF-1")], "14x2"),  # the active one
        ([_product("14x1", "OF-1"), _product("14x2", "OF-1")], None),
        ([_product("14x1", "OF-1", "0"), _product("14x2", "OF-1", "0")], None),
    ],
)
def test_doubled_part_numbers_are_held(rows: list[Json], id: str | None) -> None:
    fake = FakeVtiger(query=lambda p: rows, retrieve=lambda p: next(r for r in rows if r["id"] == p["id"]))
    crm = connector(fake)
    if id is None:
        with pytest.raises(Held) as caught:
            crm.find_products(["OF-1"])
        assert caught.value.error_class == "duplicate/conflict"
    else:
        assert crm.find_products(["OF-1"])["OF-1"].id == id


# -- customers ---------------------------------------------------------------------------------------------------------


def test_a_lead_account_and_contact() -> None:
    install = Install()
    crm = connector(install.fake)
    lead = crm.create_lead(Lead(external_id="l", company="Müller KG", person=JOERG, address=BERLIN, owner="Sales"))
    account = crm.create_account(Account(external_id="a", name="Müller KG", billing=BERLIN, owner="Anna"))
    contact = crm.create_contact(Contact(external_id="c", person=JOERG, address=BERLIN, owner="Anna"), account.ref.id)
    assert [w.differences for w in (lead, account, contact)] == [(), (), ()]
    sent = [p["element"] for p in install.fake.of("create")]
    assert [e["assigned_user_id"] for e in sent] == ["20x2", "19x1", "19x1"]
    assert sent[2]["account_id"] == account.ref.id


def test_a_lead_source_the_crm_does_not_have_is_left_out() -> None:
    install = Install()
    lead = Lead(external_id="l", company="", person=JOERG, address=BERLIN, owner="Anna")
    connector(install.fake, lead_source="Smoke signals").create_lead(lead)
    assert "leadsource" not in install.fake.of("create")[0]["element"]


def test_a_taken_account_name_is_a_conflict() -> None:
    install = Install()

    def refuse(params: Json) -> None:
        raise Refuse(0, "Duplicate(s) detected!")

    install.fake.answers["create"] = refuse
    with pytest.raises(Held) as caught:
        connector(install.fake).create_account(Account(external_id="a", name="Müller KG", owner="Anna"))
    assert (caught.value.error_class, caught.value.field) == ("duplicate/conflict", "accountname")


def test_a_lead_is_converted_with_every_field_and_compared() -> None:
    install = Install()
    converted = connector(install.fake).convert_lead(
        Ref("10x7"),
        Account(external_id="a", name="Müller KG", billing=BERLIN, owner="Sales"),
        Contact(external_id="c", person=JOERG, address=BERLIN, owner="Sales"),
    )
    assert (converted.account.ref.id, converted.contact.ref.id) == ("11x50", "12x51")
    assert converted.account.differences == converted.contact.differences == ()
    assert [op for op in install.fake.operations() if op in {"convertlead", "retrieve"}] == [
        "convertlead",
        "retrieve",
        "retrieve",
    ]
    element = install.fake.of("convertlead")[0]["element"]
    assert (element["leadId"], element["assignedTo"]) == ("10x7", "20x2")
    assert element["entities"]["Contacts"]["mailingzip"] == "10115"
    assert element["entities"]["Accounts"]["cf_external_id"] == "a"


def test_a_foreign_account_of_the_same_name_is_held() -> None:
    """Conversion takes an existing account of exactly this name: B's contact must not quietly stand at A's account."""
    install = Install()

    def reuse(params: Json) -> dict[str, str]:
        made = install.convert(params)
        install.kept["11x50"] |= {"cf_external_id": "somebody-else", "bill_city": "Hamburg"}
        return made

    install.fake.answers["convertlead"] = reuse
    converted = connector(install.fake).convert_lead(
        Ref("10x7"),
        Account(external_id="a", name="Müller", billing=BERLIN, owner="Anna"),
        Contact(external_id="c", person=JOERG, owner="Anna"),
    )
    assert [(d.field, d.action) for d in converted.account.differences] == [("cf_external_id", "hold")]
    assert "same name" in converted.account.differences[0].message


def test_a_conversion_that_shows_nothing_is_ambiguous() -> None:
    install = Install()
    install.fake.answers["convertlead"] = lambda p: {"Contacts": "12x51"}
    with pytest.raises(Ambiguous):
        connector(install.fake).convert_lead(
            Ref("10x7"),
            Account(external_id="a", name="M", owner="Anna"),
            Contact(external_id="c", person=JOERG, owner="Anna"),
        )


# -- capabilities and check --------------------------------------------------------------------------------------------


def test_whether_leads_can_be_converted_is_found_out_once() -> None:
    install = Install()
    crm = connector(install.fake)
    crm.capabilities()
    found = crm.capabilities()
    assert found.converts_leads
    assert found.moves_stock_on_invoice
    assert found.lane_kinds >= {"order", "invoice", "stock"}
    assert install.fake.operations().count("convertlead") == 1


def described(module: str, unique: tuple[str, ...], **over: Any) -> Any:
    """The recorded description with these fields made unique in vtiger's Duplicate Prevention, and further changes."""

    def answer(params: Json) -> Json:
        found = describe(params)
        if params["elementType"] == module:
            for field in found["fields"]:
                field["isunique"] = field["name"] in unique
            found |= over
        return found

    return answer


@pytest.mark.parametrize("kind", ["account", "contact", "lead", "order", "invoice", "conversion"])
def test_as_installed_vtiger_takes_doubles_of_everything(kind: str) -> None:
    """The recorded descriptions: only the name of organizations is unique, which says nothing about our id."""
    assert connector(Install().fake).creation(kind) is Tier.NOTHING


@pytest.mark.parametrize(
    ("unique", "over", "tier"),
    [
        (("cf_external_id",), {}, Tier.REFUSES_DUPLICATES),
        (("cf_external_id", "subject"), {}, Tier.NOTHING),  # all of them have to be equal
        (("subject",), {}, Tier.NOTHING),
        (("cf_external_id",), {"allowDuplicates": True}, Tier.NOTHING),
        (("cf_external_id",), {"allowDuplicates": None}, Tier.NOTHING),  # before vtiger 7.2 it says nothing
    ],
)
def test_how_strong_creation_is_comes_from_the_description(unique: tuple[str, ...], over: Json, tier: Tier) -> None:
    install = Install()
    install.fake.answers["describe"] = described("SalesOrder", unique, **over)
    crm = connector(install.fake, trust_unique=True)
    with guarded(NoWrites()):
        assert [crm.creation("order") for _ in range(3)] == [tier] * 3
        assert crm.creation("invoice") is Tier.NOTHING
    assert install.fake.operations().count("describe") == 2, "asked once a module"


def test_a_unique_field_is_relied_upon_only_where_that_was_asked_for() -> None:
    """vtiger looks for the duplicate before it saves, and locks nothing."""
    install = Install()
    install.fake.answers["describe"] = described("SalesOrder", ("cf_external_id",))
    assert connector(install.fake).creation("order") is Tier.NOTHING


def test_a_unique_field_that_nobody_may_edit_is_not_compared() -> None:
    install = Install()

    def answer(params: Json) -> Json:
        found: Json = described("SalesOrder", ("cf_external_id",))(params)
        next(field for field in found["fields"] if field["name"] == "cf_external_id")["editable"] = False
        return found

    install.fake.answers["describe"] = answer
    assert connector(install.fake, trust_unique=True).creation("order") is Tier.NOTHING


def test_check_says_how_strong_creation_is() -> None:
    install = Checked()
    install.fake.answers["describe"] = described("SalesOrder", ("cf_external_id",))
    found = {finding.subject: finding for finding in connector(install.fake, trust_unique=True).check()}
    assert found["creating Sales Order"].message.startswith("tier B: vtiger refuses a second one")
    assert found["creating Invoice"].message.startswith("tier C: vtiger takes a second one")
    assert found["creating Contacts"].level == "ok"


@pytest.mark.parametrize(
    "page", [Page(500), Page(200), Page(200, "<b>Fatal error</b>:  Uncaught Error: Unknown named parameter")]
)
def test_where_conversion_is_broken_account_and_contact_are_made(page: Page) -> None:
    install = Install()

    def die(params: Json) -> None:
        raise page

    install.fake.answers["convertlead"] = die
    assert not connector(install.fake).capabilities().converts_leads


@pytest.mark.parametrize(
    "page", [Page(503), Page(200, "<title>Maintenance</title>"), Page(500, "<h1>Bad gateway of sorts</h1>")]
)
def test_an_outage_says_nothing_about_conversion(page: Page) -> None:
    install = Install()

    def down(params: Json) -> None:
        raise page

    install.fake.answers["convertlead"] = down
    crm = connector(install.fake)
    crm._http._sleep = lambda seconds: None
    with pytest.raises(RetryLater):
        crm.capabilities()
    install.fake.answers["convertlead"] = install.convert
    assert crm.capabilities().converts_leads


@pytest.mark.parametrize(("word", "works"), [("yes", True), ("no", False)])
def test_conversion_can_be_configured(word: str, works: bool) -> None:
    install = Install()
    assert connector(install.fake, convert_leads=word).capabilities().converts_leads is works
    assert install.fake.operations() == []


def _recorded(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())["response"]["json"]["result"]


class Checked(Install):
    """An install in order; tests take things away from it."""

    def __init__(self) -> None:
        super().__init__()
        self.people = {"19x1": _recorded("303-user-retrieve-self")}
        self.currency: Json = {"id": "21x1", "currency_code": "EUR", "currency_name": "Euro"}
        self.groups = _recorded("023-query-groups")
        self.taxes = _recorded("025-query-tax")
        self.admin = "on"
        self.fake.answers |= {"listtypes": lambda p: _recorded("003-listtypes"), "login": self.login}

    def login(self, params: Json) -> Json:
        return {"sessionName": "s", "userId": "19x1", "vtigerVersion": "8.2.0", "is_admin": self.admin}

    def retrieve(self, params: Json) -> Json:
        if params["id"] in self.people:
            found: Json = self.people[params["id"]]
            return found
        return self.currency if params["id"] == "21x1" and self.currency else super().retrieve(params)

    def query(self, params: Json) -> list[Json]:
        rows: list[Json]
        if params["query"] == "SELECT * FROM Groups;":
            rows = self.groups
        elif params["query"] == "SELECT * FROM Tax;":
            rows = self.taxes
        else:
            rows = super().query(params)
        return rows


def findings(install: Install, **changes: Any) -> dict[str, tuple[str, str]]:
    found = connector(install.fake, **changes).check()
    assert all(f.what_to_do for f in found if f.level != "ok")
    return {f.subject: (f.level, f.message + " " + f.what_to_do) for f in found if f.level != "ok"}


def test_an_install_in_order_has_no_findings_and_nothing_is_written() -> None:
    install = Checked()
    with guarded(NoWrites()):
        assert findings(install) == {}
    assert not {"create", "revise"} & set(install.fake.operations())


class NoWrites(OpenGuard):
    def before_write(self, connection: str, timeout: float) -> None:
        raise AssertionError("check wrote something")


def test_the_missing_field_comes_with_the_clicks() -> None:
    install = Checked()

    def bare(params: Json) -> Json:
        answer = describe(params)
        if params["elementType"] == "SalesOrder":
            answer["fields"] = [f for f in answer["fields"] if f["name"] != "cf_external_id"]
        return answer

    install.fake.answers["describe"] = bare
    level, text = findings(install)["SalesOrder.cf_external_id"]
    assert level == "problem"
    for word in ("Module Layouts & Fields", "Sales Order", "Add Custom Field", "Text", "External ID", "100"):
        assert word in text


def _break(**values: Any) -> Any:
    def damage(install: Install) -> None:
        for name, value in values.items():
            setattr(install, name, value)

    return damage


@pytest.mark.parametrize(
    ("damage", "changes", "subject", "level"),
    [
        (_break(taxes=[]), {}, "tax tax1", "problem"),
        (_break(currency=None), {}, "currency EUR", "problem"),
        (_break(currency={"id": "21x1", "currency_code": "USD"}), {}, "currency EUR", "problem"),
        (_break(), {"currencies": {}}, "currencies", "problem"),
        (_break(), {"owners": {}}, "owners", "problem"),
        (_break(), {"owners": {"Ghost": "19x999"}}, "owner Ghost", "problem"),
        (_break(), {"owners": {"Ghosts": "20x999"}}, "owner Ghosts", "problem"),
        (_break(), {"owners": {"Order": "14x1"}}, "owner Order", "problem"),
        (_break(admin="off"), {"owners": {"Ghost": "19x999"}}, "owner Ghost", "warning"),
        (lambda i: i.people["19x1"].update(no_of_currency_decimals=""), {}, "decimals", "problem"),
        (lambda i: i.people["19x1"].update(no_of_currency_decimals="1"), {}, "decimals", "warning"),
        (lambda i: i.people["19x1"].update(status="Inactive"), {}, "owner Anna", "warning"),
        (lambda i: i.products.pop("14x8"), {}, "unknown_product", "problem"),
        (lambda i: i.products["14x9"].pop("tax1"), {}, "fee_product", "problem"),
        (lambda i: i.products["14x9"].update(discontinued="0"), {}, "fee_product", "warning"),
        (_break(), {"unknown_product": ""}, "unknown_product", "warning"),
        (_break(), {"vat_field": "cf_404"}, "Accounts.cf_404", "problem"),
        (_break(), {"invoice_number_field": "cf_404"}, "Invoice.cf_404", "problem"),
        (_break(), {"payment_field": "cf_404"}, "SalesOrder.cf_404", "problem"),
        (_break(), {"statuses": {"pending": "Mars"}}, "SalesOrder.sostatus", "warning"),
        (_break(), {"lead_source": "Mars"}, "Leads.leadsource", "warning"),
    ],
)
def test_what_is_missing_is_found(damage: Any, changes: Json, subject: str, level: str) -> None:
    install = Checked()
    damage(install)
    found = findings(install, **changes)
    assert found[subject][0] == level
    assert len(found) == 1


def test_hidden_and_read_only_modules_are_found() -> None:
    install = Checked()
    types = [name for name in _recorded("003-listtypes")["types"] if name != "Leads"]
    install.fake.answers["listtypes"] = lambda p: {"types": types}
    install.fake.answers["describe"] = lambda p: describe(p) | {"createable": p["elementType"] != "Invoice"}
    found = findings(install)
    assert found["Leads"][0] == "problem"
    assert found["Invoice"][0] == "problem"


def test_without_a_login_there_is_one_finding() -> None:
    install = Checked()

    def refuse(params: Json) -> None:
        raise Refuse("INVALID_USER_CREDENTIALS", "Invalid username or password")

    install.fake.answers["login"] = refuse
    assert list(findings(install)) == ["login"]


def test_one_look_that_fails_spares_the_others() -> None:
    install = Checked()

    def broken(params: Json) -> None:
        raise Page(500)

    install.fake.answers["query"] = broken
    found = findings(install)
    assert {"owners", "taxes", "products"} <= set(found)
    assert "decimals" not in found
