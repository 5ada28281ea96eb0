"""The connector against a real Tryton 8.2: everything that people change there is seen, and nothing is skipped.

Orderwire reads as a user with exactly the groups that docs/connectors/tryton.md names. The rows of the prepared database are a
month old, so what a test sees as changed is what it changed. Each test has customers of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors import tryton as connector
from connectors.roles import Erp, ErpKind
from connectors.tryton import Tryton, TrytonSettings
from connectors.tryton.tables import written_since
from connectors.walk import from_text, to_text
from core.errors import ConfigurationProblem, NotThere, RetryLater
from core.keys import Change, Key
from core.secrets import SecretRef
from mapping.canonical import ErpCustomer
from tests.real.tryton_server import DATABASE, PASSWORD, Office, TrytonServer, day, decimal

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1800)]  # the first test of a run installs Tryton

_customers = itertools.count(1)
"""Numbers of the customers that no test has touched yet."""


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRYTON_TEST_PASSWORD", PASSWORD)


def connect(server: TrytonServer, **settings: Any) -> Tryton:
    values: dict[str, Any] = {
        "name": "erp",
        "url": server.url,
        "database": DATABASE,
        "username": "orderwire",
        "password": SecretRef("env:TRYTON_TEST_PASSWORD"),
        "overlap": 10,
        **settings,
    }
    return connector.build(TrytonSettings.model_validate(values))


@pytest.fixture
def erp(tryton: TrytonServer) -> Iterator[Tryton]:
    made = connect(tryton)
    yield made
    made.close()


def read(erp: Tryton, kind: ErpKind, cursor: str | None = None) -> tuple[dict[str, Change], str]:
    """Everything that changed, by id, and the last cursor."""
    found: dict[str, Change] = {}
    for page in erp.changes_since(kind, cursor):
        cursor = page.cursor
        for change in page.changes:
            assert change.problem is None, change.problem
            found[change.key.id] = change
    assert cursor is not None
    return found, cursor


@pytest.fixture(scope="session")
def start(tryton: TrytonServer) -> dict[ErpKind, str]:
    """Per kind the cursor of a whole reading, made before any test changed anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRYTON_TEST_PASSWORD", PASSWORD)
        erp = connect(tryton)
        try:
            return {kind: read(erp, kind)[1] for kind in sorted(erp.kinds)}
        finally:
            erp.close()


class Customer:
    """A party that belongs to one test."""

    def __init__(self, office: Office) -> None:
        number = next(_customers)
        self.id = office.find("party.party", ["name", "=", f"Customer {number}"])[0]
        self.code = str(office.do("party.party", "read", [self.id], ["code"])[0]["code"])
        self.agents = office.find("commission.agent.selection", ["party", "=", self.id])


@pytest.fixture
def customer(office: Office, start: dict[ErpKind, str]) -> Customer:
    return Customer(office)


@pytest.fixture
def other(office: Office, start: dict[ErpKind, str]) -> Customer:
    return Customer(office)


def seen(erp: Tryton, start: dict[ErpKind, str], *wanted: Customer) -> list[ErpCustomer]:
    """These customers as they are now, if reading on from the start tells about them."""
    found, _ = read(erp, "customer", start["customer"])
    return [erp.customer(found[one.code].key, found[one.code].raw or b"") for one in wanted if one.code in found]


def naively(office: Office, start: dict[ErpKind, str], customer: Customer) -> bool:
    """Whether the party's own times say that it changed, as a naive feed would ask."""
    since = from_text(start["customer"], "erp").since
    assert since is not None
    return bool(office.find("party.party", ["id", "=", customer.id], ["OR", *written_since("", since)]))


# -- customers and their reps ------------------------------------------------------------------------------------------


def test_customers_with_two_dated_agents(erp: Tryton, start: dict[ErpKind, str], customer: Customer) -> None:
    assert isinstance(erp, Erp)
    change = erp.fetch(Key("erp", "customer", customer.code))
    found = erp.customer(change.key, change.raw or b"")
    first, second = found.assignments
    assert (first.first, first.last, first.rank) == (date(2026, 1, 1), date(2026, 6, 30), 0)
    assert (second.first, second.last, second.rank) == (date(2026, 7, 1), None, 1)
    reps = {key: erp.rep(one.key, one.raw or b"") for key, one in read(erp, "rep")[0].items()}
    assert [reps[one.rep].name for one in found.assignments] == ["Anna Rep", "Ben Rep"]
    assert reps[first.rep].email == "anna@company.example"
    assert reps[first.rep].phone
    assert found.email.endswith("@customer.example")
    assert (found.billing.city, found.billing.line2, found.business) == ("Berlin", "Back yard", "customer")


def test_reps_and_the_own_company_are_nobodys_customers(erp: Tryton, start: dict[ErpKind, str]) -> None:
    changes, _ = read(erp, "customer")
    found = [erp.customer(one.key, one.raw or b"") for one in changes.values()]
    assert {one.name for one in found if one.business == "rep"} >= {"Anna Rep", "Ben Rep", "Carl Rep"}
    assert "Dunder Mifflin" in [one.name for one in found if one.business == "own"]


def test_an_agent_row_added(erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer) -> None:
    carl = office.find("commission.agent", ["party.name", "=", "Carl Rep"])[0]
    office.create("commission.agent.selection", agent=carl, party=customer.id, start_date=day(2027, 1, 1))
    assert not naively(office, start, customer)
    (found,) = seen(erp, start, customer)
    assert found.assignments[-1].first == date(2027, 1, 1)
    assert len(found.assignments) == 3


def test_an_agent_row_changed(
    erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer, other: Customer
) -> None:
    office.write("commission.agent.selection", customer.agents[1], end_date=day(2026, 12, 31))
    assert not naively(office, start, customer)
    (found,) = seen(erp, start, customer, other)  # and nobody else
    assert found.assignments[1].last == date(2026, 12, 31)


def test_an_agent_row_removed(erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer) -> None:
    office.delete("commission.agent.selection", customer.agents[0])
    assert not naively(office, start, customer)
    (found,) = seen(erp, start, customer)
    assert [one.first for one in found.assignments] == [date(2026, 7, 1)]


def test_an_agent_row_given_to_another_customer(
    erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer, other: Customer
) -> None:
    office.write("commission.agent.selection", customer.agents[0], party=other.id)
    left, right = seen(erp, start, customer, other)
    assert (len(left.assignments), len(right.assignments)) == (1, 3)
    assert not naively(office, start, customer)


def test_the_order_of_agents_changed(
    erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer
) -> None:
    office.write("commission.agent.selection", customer.agents[0], sequence=20)
    office.write("commission.agent.selection", customer.agents[1], sequence=10)
    (found,) = seen(erp, start, customer)
    assert [one.first for one in found.assignments] == [date(2026, 7, 1), date(2026, 1, 1)]


def test_an_agent_becomes_somebody_else(
    erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer
) -> None:
    """The customers who have this agent have another rep then, though nothing of theirs was written."""
    dora, dirk = (office.create("party.party", name=f"{name} Rep", code=name) for name in ("DORA", "DIRK"))
    agent = office.create("commission.agent", party=dora, company=1, currency=1)
    office.create("commission.agent.selection", agent=agent, party=customer.id)
    (before,) = seen(erp, start, customer)
    assert "DORA" in [one.rep for one in before.assignments]
    office.write("commission.agent", agent, party=dirk)
    (after,) = seen(erp, start, customer)
    assert "DIRK" in [one.rep for one in after.assignments]
    reps, _ = read(erp, "rep", start["rep"])
    assert "DIRK" in reps
    assert "DORA" not in reps
    assert erp.fetch(Key("erp", "rep", "DIRK")).raw


def test_a_rep_leaves(erp: Tryton, start: dict[ErpKind, str], office: Office) -> None:
    party = office.create("party.party", name="Emil Rep", code="E1")
    agent = office.create("commission.agent", party=party, company=1, currency=1)
    _, cursor = read(erp, "rep", start["rep"])
    office.write("commission.agent", agent, active=False)
    found, _ = read(erp, "rep", cursor)
    assert not erp.rep(found["E1"].key, found["E1"].raw or b"").active


# -- what else belongs to a customer -----------------------------------------------------------------------------------


def test_an_email_changed_and_one_removed(
    erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer, other: Customer
) -> None:
    (mechanism,) = office.find("party.contact_mechanism", ["party", "=", customer.id])
    office.write("party.contact_mechanism", mechanism, value="new@customer.example")
    office.delete("party.contact_mechanism", office.find("party.contact_mechanism", ["party", "=", other.id])[0])
    assert not naively(office, start, customer)
    assert not naively(office, start, other)
    changed, removed = seen(erp, start, customer, other)
    assert (changed.email, removed.email) == ("new@customer.example", "")


def test_an_address_changed(erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer) -> None:
    (address,) = office.find("party.address", ["party", "=", customer.id])
    office.write("party.address", address, city="Hamburg", delivery=True)
    assert not naively(office, start, customer)
    (found,) = seen(erp, start, customer)
    assert (found.billing.city, found.ship_tos[0].number) == ("Hamburg", str(address))


def test_an_archived_customer_is_told_and_not_active(
    erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer
) -> None:
    office.write("party.party", customer.id, active=False)
    (found,) = seen(erp, start, customer)
    assert not found.active
    assert customer.code in itertools.chain.from_iterable(erp.ids("customer"))
    assert erp.fetch(Key("erp", "customer", customer.code)).raw


def test_a_deleted_customer_is_found_by_ids(erp: Tryton, start: dict[ErpKind, str], office: Office) -> None:
    number = office.create("party.party", name="Short-lived", code="GONE-1")
    assert "GONE-1" in read(erp, "customer", start["customer"])[0]
    assert "GONE-1" in itertools.chain.from_iterable(erp.ids("customer"))
    office.delete("party.party", number)
    assert "GONE-1" not in read(erp, "customer", start["customer"])[0]
    assert "GONE-1" not in itertools.chain.from_iterable(erp.ids("customer"))
    with pytest.raises(NotThere, match="What to do: "):
        erp.fetch(Key("erp", "customer", "GONE-1"))


# -- goods and bills ---------------------------------------------------------------------------------------------------


def _moved(office: Office, product: int, quantity: float, *, done: bool = True) -> int:
    place = {code: office.find("stock.location", ["code", "=", code])[0] for code in ("SUP", "STO")}
    move = office.create(
        "stock.move", product=product, unit=1, quantity=quantity, from_location=place["SUP"], to_location=place["STO"],
        company=1, currency=1, unit_price=decimal("10"),
    )  # fmt: skip
    if done:
        office.do("stock.move", "do", [move])
    return move


def test_a_stock_movement_is_seen(erp: Tryton, start: dict[ErpKind, str], office: Office) -> None:
    product = office.find("product.product", ["code", "=", "SKU-1"])[0]
    _moved(office, product, 7.0)
    found, cursor = read(erp, "stock", start["stock"])
    level = erp.stock(found["WH/SKU-1"].key, found["WH/SKU-1"].raw or b"")
    assert (level.on_hand, level.sku, level.warehouse) == (Decimal(7), "SKU-1", "WH")
    assert level.read_at is not None
    assert "SKU-1" not in read(erp, "product", start["product"])[0]  # the product itself does not know
    _moved(office, product, 2.0)
    again, _ = read(erp, "stock", cursor)
    assert erp.stock(again["WH/SKU-1"].key, again["WH/SKU-1"].raw or b"").on_hand == Decimal(9)


def test_stock_of_a_day_that_comes(erp: Tryton, start: dict[ErpKind, str], office: Office) -> None:
    """A move planned for a day falls due without anybody writing anything."""
    product = office.find("product.product", ["code", "=", "SKU-2"])[0]
    move = _moved(office, product, 5.0, done=False)
    today = date.today()  # noqa: DTZ011 - the server's day, as the test's machine is the server's
    office.write("stock.move", move, planned_date=day(today.year, today.month, today.day))
    _, cursor = read(erp, "stock", start["stock"])
    place = from_text(cursor, "erp")
    assert place.since is not None
    later = replace(place, since=place.since + timedelta(hours=2))  # nothing was written since
    assert "WH/SKU-2" not in read(erp, "stock", to_text(later))[0]
    yesterday = replace(later, day=(today - timedelta(days=1)).isoformat())
    found, _ = read(erp, "stock", to_text(yesterday))
    level = erp.stock(found["WH/SKU-2"].key, found["WH/SKU-2"].raw or b"")
    assert (level.on_hand, level.available) == (Decimal(0), Decimal(5))


def test_products_and_their_prices(erp: Tryton, start: dict[ErpKind, str], office: Office) -> None:
    found, _ = read(erp, "product")
    product = erp.product(found["SKU-1"].key, found["SKU-1"].raw or b"")
    assert (product.name, product.currency, product.unit, product.active) == ("Widget", "EUR", "u", True)
    assert list(itertools.chain.from_iterable(erp.ids("product"))) == ["SKU-1", "SKU-2"]
    template = office.do(
        "product.product", "read", office.find("product.product", ["code", "=", "SKU-2"]), ["template"]
    )
    office.write("product.template", template[0]["template"], list_price=decimal("61.50"))
    changed, _ = read(erp, "product", start["product"])
    assert erp.product(changed["SKU-2"].key, changed["SKU-2"].raw or b"").price == Decimal("61.50")


def _invoice(office: Office, customer: Customer, quantity: float) -> int:
    return office.create(
        "account.invoice", type="out", party=customer.id, company=1, currency=1,
        journal=office.find("account.journal", ["type", "=", "revenue"])[0],
        account=office.find("account.account", ["type.receivable", "=", True], ["closed", "!=", True])[0],
        invoice_address=office.find("party.address", ["party", "=", customer.id])[0], payment_term=1,
        lines=[["create", [{
            "type": "line", "company": 1, "currency": 1, "invoice_type": "out", "quantity": quantity, "unit": 1,
            "product": office.find("product.product", ["code", "=", "SKU-1"])[0],
            "unit_price": decimal("40.00"), "taxes": [["add", office.find("account.tax")]],
            "account": office.find("account.account", ["type.revenue", "=", True], ["closed", "!=", True])[0],
        }]]],
    )  # fmt: skip


def test_an_invoice_is_seen_as_a_draft_and_when_it_is_posted(
    erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer
) -> None:
    number = _invoice(office, customer, 3.0)
    office.write("account.invoice", number, reference="WEB-1001")
    found, cursor = read(erp, "invoice", start["invoice"])
    draft = erp.invoice(found[str(number)].key, found[str(number)].raw or b"")
    assert (draft.status, draft.number, draft.customer) == ("draft", "", customer.code)
    assert (draft.reference, draft.balance) == ("WEB-1001", None)
    office.do("account.invoice", "post", [number])
    found, _ = read(erp, "invoice", cursor)
    posted = erp.invoice(found[str(number)].key, found[str(number)].raw or b"")
    assert (posted.status, posted.net, posted.tax, posted.total) == (
        "open",
        Decimal("120.00"),
        Decimal("22.80"),
        Decimal("142.80"),
    )
    assert posted.number
    assert posted.issued is not None
    assert posted.due is not None
    assert (posted.lines[0].sku, posted.lines[0].quantity, posted.lines[0].net) == (
        "SKU-1",
        Decimal(3),
        Decimal("120.00"),
    )
    assert not posted.credit
    assert (posted.balance, posted.lines[0].rate) == (Decimal("142.80"), Decimal(19))


def test_a_credit_note(erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer) -> None:
    number = _invoice(office, customer, -1.0)
    office.do("account.invoice", "post", [number])
    change = erp.fetch(Key("erp", "invoice", str(number)))
    found = erp.invoice(change.key, change.raw or b"")
    assert (found.credit, found.net, found.total, found.lines[0].quantity) == (
        True,
        Decimal(40),
        Decimal("47.60"),
        Decimal(1),
    )


# -- pages and cursors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["customer", "rep", "product", "stock"])
def test_reading_goes_on_from_each_page(tryton: TrytonServer, start: dict[ErpKind, str], kind: ErpKind) -> None:
    erp = connect(tryton, per_page=7 if kind == "customer" else 1)
    pages = list(erp.changes_since(kind, None))
    assert len(pages) > 1
    whole = {change.key for page in pages for change in page.changes}
    for place in range(len(pages) - 1):
        before = {change.key for page in pages[: place + 1] for change in page.changes}
        rest = {change.key for page in erp.changes_since(kind, pages[place].cursor) for change in page.changes}
        assert before | rest == whole
        assert not before >= whole or not rest
    assert {key.id for key in whole} == set(itertools.chain.from_iterable(erp.ids(kind)))
    erp.close()


def test_nothing_is_skipped_when_others_write_while_pages_are_read(
    tryton: TrytonServer, start: dict[ErpKind, str], office: Office
) -> None:
    """Behind the reader and before it, in tables beside the customer's, after each page."""
    erp = connect(tryton, per_page=5)
    mechanisms = office.do(
        "party.contact_mechanism",
        "search_read",
        [["party.name", "like", "Customer %"]],
        0,
        None,
        [["id", "ASC"]],
        ["party"],
    )
    told: dict[int, str] = {}
    passed, written, cursor = 0, 0, None
    seen_values: dict[str, str] = {}
    for page in erp.changes_since("customer", None):
        cursor = page.cursor
        for change in page.changes:
            seen_values[change.key.id] = erp.customer(change.key, change.raw or b"").email
        for row in (mechanisms[passed], mechanisms[-1 - passed]):
            written += 1
            told[row["id"]] = f"while{written}@customer.example"
            office.write("party.contact_mechanism", row["id"], value=told[row["id"]])
        passed += 1
    assert passed > 3
    for page in erp.changes_since("customer", cursor):
        for change in page.changes:
            seen_values[change.key.id] = erp.customer(change.key, change.raw or b"").email
    assert set(told.values()) <= set(seen_values.values())
    erp.close()


def test_many_records_of_one_moment_are_all_told(
    tryton: TrytonServer, start: dict[ErpKind, str], office: Office
) -> None:
    made = office.do(
        "party.party", "create", [{"name": f"Twin {number}", "code": f"TW-{number}"} for number in range(9)]
    )
    rows = office.do("party.party", "read", made, ["create_date"])
    assert len({str(row["create_date"]) for row in rows}) < 9
    erp = connect(tryton, per_page=2)
    found, _ = read(erp, "customer", start["customer"])
    assert {f"TW-{number}" for number in range(9)} <= set(found)
    erp.close()


def test_the_same_state_has_the_same_content(
    erp: Tryton, start: dict[ErpKind, str], office: Office, customer: Customer
) -> None:
    key = Key("erp", "customer", customer.code)
    first = erp.fetch(key)
    assert erp.fetch(key).content == first.content
    office.write("party.party", customer.id, name="Renamed")
    assert erp.fetch(key).content != first.content


# -- login, rights, companies ------------------------------------------------------------------------------------------


def test_a_session_that_ended_is_renewed_once(erp: Tryton, tryton: TrytonServer, start: dict[ErpKind, str]) -> None:
    assert any(erp.ids("product"))
    before = erp._client._session.current()
    tryton.ask("common.db.logout", [], before)
    assert any(erp.ids("product"))
    assert erp._client._session.current() != before


def test_a_refused_login_pauses_the_connection(tryton: TrytonServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRYTON_TEST_PASSWORD", "wrong")
    erp = connect(tryton, username="nogroups")
    with pytest.raises(RetryLater, match=r"refuses the login of nogroups.*What to do: ") as caught:
        list(erp.ids("product"))
    assert (caught.value.cause, caught.value.scope) == ("auth", "connection")
    assert [one.level for one in erp.check()] == ["problem"]


def test_an_unknown_database(tryton: TrytonServer) -> None:
    erp = connect(tryton, database="elsewhere")
    with pytest.raises(RetryLater, match="has no database elsewhere") as caught:
        list(erp.ids("product"))
    assert caught.value.cause == "configuration"


def test_the_users_groups(erp: Tryton, tryton: TrytonServer, start: dict[ErpKind, str]) -> None:
    """The groups that the page names suffice; without them `check` says what to click."""
    assert [one for one in erp.check() if one.level == "problem"] == []
    bare = connect(tryton, username="nogroups")
    findings = {one.subject: one for one in bare.check() if one.level != "ok"}
    assert set(findings) >= {"groups", "stock.move", "account.invoice", "account.invoice.line", "sale.sale"}
    assert "Accounting" in findings["account.invoice"].what_to_do
    assert "Administration > Users" in findings["groups"].what_to_do
    with pytest.raises(RetryLater, match=r"does not let our user read account.invoice") as caught:
        list(bare.changes_since("invoice", None))
    assert caught.value.cause == "auth"


def test_agents_of_another_company_serve_nobody_here(
    tryton: TrytonServer, start: dict[ErpKind, str], office: Office, customer: Customer
) -> None:
    party = office.create("party.party", name="Second Company", code="CO2")
    company = office.create("company.company", party=party, currency=1)
    office.write("res.user", 1, companies=[["add", [company]]], company_filter="all")
    user = office.find("res.user", ["login", "=", "orderwire"])[0]
    office.write("res.user", user, companies=[["add", [company]]], company_filter="all")
    rep = office.create("party.party", name="Foreign Rep", code="F1")
    agent = office.create("commission.agent", party=rep, company=company, currency=1)
    office.create("commission.agent.selection", agent=agent, party=customer.id)
    erp = connect(tryton)
    (found,) = seen(erp, start, customer)
    assert "F1" not in [one.rep for one in found.assignments]
    assert len(found.assignments) == 2
    assert "F1" not in read(erp, "rep")[0]
    office.write("res.user", user, company=company)
    findings = [one for one in connect(tryton, company="Dunder Mifflin").check() if one.subject == "company"]
    office.write("res.user", user, company=1)  # other tests read as this user too
    assert [one.level for one in findings] == ["problem"]


def test_what_is_not_configured_is_not_read(tryton: TrytonServer, start: dict[ErpKind, str]) -> None:
    erp = connect(tryton, kinds=["customer"], warehouses=["NOWHERE"])
    with pytest.raises(ConfigurationProblem, match="What to do: "):
        list(erp.changes_since("stock", None))
    wrong = connect(tryton, warehouses=["NOWHERE"])
    with pytest.raises(RetryLater, match="there are WH"):
        list(wrong.ids("stock"))
