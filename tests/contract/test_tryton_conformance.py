"""Tryton keeps to what every ERP keeps to, and to more: sessions, its own errors, what its change feed must not miss."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors import tryton
from connectors.roles import ErpKind
from connectors.tryton import Tryton, TrytonSettings
from connectors.tryton.tables import written_since
from connectors.walk import from_text
from core.clock import Clock
from core.errors import Held, NotThere, OrderwireError, RetryLater
from core.keys import Key
from core.secrets import SecretRef
from mapping.canonical import ErpCustomer
from tests.contract.tryton_world import World, decimal
from tests.contract.walk_conformance import Local, WalkedErp


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRYTON_TEST_PASSWORD", "secret")


def connect(transport: httpx.BaseTransport, *, clock: Clock | None = None, **settings: Any) -> Tryton:
    values: dict[str, Any] = {
        "name": "erp",
        "url": "https://tryton.example",
        "database": "tryton",
        "username": "orderwire",
        "password": SecretRef("env:TRYTON_TEST_PASSWORD"),
        "per_page": 2,
        **settings,
    }
    made = tryton.build(TrytonSettings.model_validate(values), transport=transport, clock=clock)
    made._client.http._sleep = lambda seconds: None
    return made


def furnished() -> World:
    """A company with three reps, five customers, three articles and three invoices, all three days old."""
    world = World()
    money = world.create("currency.currency", code="EUR")
    unit = world.create("product.uom", symbol="u", digits=2)
    world.create("stock.location", type="warehouse", code="WH", name="Warehouse")
    world.create(
        "company.company",
        party=world.create("party.party", code="1", name="Our Own"),
        currency=money,
        rec_name="Our Own",
    )
    agents = [
        world.create("commission.agent", party=world.create("party.party", code=f"R{number}", name=f"Rep {number}"),
                     type_="agent", company=1)
        for number in range(3)
    ]  # fmt: skip
    for number in range(5):
        add_customer(world, f"C{number}", agents)
    for number in range(3):
        add_product(world, f"SKU-{number}", unit)
        add_invoice(world)
    world.now += timedelta(days=3)
    return world


def add_customer(world: World, code: str, agents: list[int]) -> int:
    party = world.create("party.party", code=code, name=f"Customer {code}")
    world.create("party.contact_mechanism", party=party, type="email", value=f"{code}@customer.example")
    world.create(
        "party.address", party=party, street="Street 1\nYard", city="Berlin", postal_code="10115", invoice=True
    )
    world.create("party.identifier", party=party, code="DE1")
    for sequence, agent in enumerate(agents[:2]):
        world.create(
            "commission.agent.selection", party=party, agent=agent, sequence=sequence, start_date=None, end_date=None
        )
    return party


def add_product(world: World, code: str, unit: int = 1) -> int:
    template = world.create("product.template", name=code)
    product = world.create(
        "product.product",
        code=code,
        name=code,
        type="goods",
        template=template,
        default_uom=unit,
        list_price_used=decimal("60"),
    )
    world.create(
        "stock.move", company=1, product=product, quantity=5.1, state="done", planned_date=None, effective_date=None
    )
    return product


def add_invoice(world: World) -> int:
    party = next(number for number, row in world.tables["party.party"].items() if row["code"] == "C0")
    number = world.create(
        "account.invoice", company=1, type="out", state="draft", number=None, party=party, currency=1, invoice_date=None,
        untaxed_amount=decimal("120.00"), total_amount=decimal("142.80"),
    )  # fmt: skip
    world.create(
        "account.invoice.line", invoice=number, type="line", product=1, quantity=3.0, unit=1,
        unit_price=decimal("40.00"), amount=decimal("120.00"), description="Widget",
    )  # fmt: skip
    return number


class TestTryton(WalkedErp):
    world: World

    def build(self) -> Tryton:
        self.world = furnished()
        self._numbers = itertools.count(100)
        return connect(httpx.MockTransport(self.world.answer), clock=Local(self.world))

    def at(self, world: Any, clock: Clock) -> Tryton:
        return connect(httpx.MockTransport(world.answer), clock=clock)

    def through(self, transport: httpx.MockTransport) -> Tryton:
        return connect(transport)

    def touch(self, kind: ErpKind) -> str:
        number = next(self._numbers)
        if kind == "customer":
            self.world.write("party.contact_mechanism", 1, value=f"new{number}@customer.example")
            return "C0"
        if kind == "rep":
            self.world.write("party.party", 2, name=f"Somebody {number}")
            return "R0"
        if kind == "stock":
            self.world.create(
                "stock.move", company=1, product=1, quantity=1.0, state="done", planned_date=None, effective_date=None
            )
            return "WH/SKU-0"
        if kind == "product":
            self.world.write("product.template", 1, name=f"Thing {number}")
            self.world.tables["product.product"][1]["name"] = f"Thing {number}"  # the variant shows its template's
            return "SKU-0"
        self.world.write("account.invoice", 1, state="posted", number=str(number))
        return "1"

    def add(self, kind: ErpKind) -> str:
        number = next(self._numbers)
        if kind == "customer":
            add_customer(self.world, f"C{number}", [1])
            return f"C{number}"
        if kind == "rep":
            party = self.world.create("party.party", code=f"R{number}", name="New")
            self.world.create("commission.agent", party=party, type_="agent", company=1)
            return f"R{number}"
        if kind == "invoice":
            return str(add_invoice(self.world))
        add_product(self.world, f"SKU-{number}")
        return f"WH/SKU-{number}" if kind == "stock" else f"SKU-{number}"

    def remove(self, kind: ErpKind) -> str:
        model, name = {
            "customer": ("party.party", "C1"), "rep": ("commission.agent", "R1"), "invoice": ("account.invoice", "2"),
            "product": ("product.product", "SKU-1"), "stock": ("product.product", "WH/SKU-1"),
        }[kind]  # fmt: skip
        table = self.world.tables[model]
        if kind == "rep":
            number = next(
                row["id"] for row in table.values() if self.world.tables["party.party"][row["party"]]["code"] == name
            )
        elif kind == "invoice":
            number = int(name)
        else:
            found = [row["id"] for row in table.values() if row["code"] == name.removeprefix("WH/")]
            if not found:  # the product went with the test of products
                return name
            number = found[0]
        self.world.delete(model, number)
        return name

    # --------------------------------------------------------------------------------- what the feed must not miss

    def customers(self, erp: Tryton, cursor: str | None) -> tuple[dict[str, ErpCustomer], str]:
        found, last = self.told(erp, "customer", cursor)
        return {key.id: erp.customer(key, change.raw or b"") for key, change in found.items()}, last

    def naive(self, erp: Tryton, cursor: str) -> list[str]:
        """Customers of which the party's own times say that they changed."""
        since = from_text(cursor, "erp").since
        assert since is not None
        changed = ["OR", *written_since("", since + timedelta(milliseconds=1))]
        return [str(row["code"]) for row in erp._client.search_read("party.party", [changed], ["code"])]

    @pytest.mark.parametrize(
        "case", ["added", "changed", "removed", "moved", "e-mail", "address", "vat", "agent", "rep's code"]
    )
    def test_what_the_partys_own_times_do_not_say(self, erp: Tryton, case: str) -> None:
        world = self.world
        _, cursor = self.customers(erp, None)
        world.now += timedelta(days=1)
        c0 = next(number for number, row in world.tables["party.party"].items() if row["code"] == "C0")
        mine = [number for number, row in world.tables["commission.agent.selection"].items() if row["party"] == c0]
        changes: dict[str, tuple[Callable[[], object], set[str]]] = {
            "added": (lambda: world.create("commission.agent.selection", party=c0, agent=3, sequence=9), {"C0"}),
            "changed": (lambda: world.write("commission.agent.selection", mine[0], sequence=9), {"C0"}),
            "removed": (lambda: world.delete("commission.agent.selection", mine[0]), {"C0"}),
            "moved": (lambda: world.write("commission.agent.selection", mine[0], party=c0 + 1), {"C0", "C1"}),
            "e-mail": (lambda: world.delete("party.contact_mechanism", 1), {"C0"}),
            "address": (lambda: world.write("party.address", 1, city="Rome"), {"C0"}),
            "vat": (lambda: world.delete("party.identifier", 1), {"C0"}),
            "agent": (lambda: world.write("commission.agent", 2, party=2), {f"C{number}" for number in range(5)}),
            "rep's code": (lambda: world.write("party.party", 2, code="R77"), {f"C{number}" for number in range(5)}),
        }
        change, wanted = changes[case]
        change()
        found, later = self.customers(erp, cursor)
        assert wanted <= set(found)
        assert not wanted & set(self.naive(erp, cursor))
        if case not in {"agent", "rep's code"}:
            assert len(found) < 5, "not everything is read again"
        world.now += timedelta(days=3)
        _, later = self.customers(erp, later)
        assert self.customers(erp, later)[0] == {}

    def test_somebody_becomes_an_agent(self, erp: Tryton) -> None:
        _, cursor = self.customers(erp, None)
        self.world.now += timedelta(days=1)
        party = next(number for number, row in self.world.tables["party.party"].items() if row["code"] == "C3")
        self.world.create("commission.agent", party=party, type_="agent", company=1)
        assert self.customers(erp, cursor)[0]["C3"].business == "rep"

    def test_writing_the_same_again_is_no_other_state(self, erp: Tryton) -> None:
        key = Key("erp", "customer", "C0")
        before = erp.fetch(key)
        self.world.write("party.contact_mechanism", 1, value="C0@customer.example")
        assert erp.fetch(key).content == before.content

    def test_what_belongs_to_another_company_is_not_told(self, erp: Tryton) -> None:
        world = self.world
        agent = world.create("commission.agent", party=3, type_="agent", company=2)
        only = world.create("commission.agent", party=world.create("party.party", code="F1"), type_="agent", company=2)
        for number in (agent, only):
            world.create("commission.agent.selection", party=5, agent=number, sequence=0)
        world.write("account.invoice", 2, company=2)
        world.write("commission.agent", 2, active=False)
        assert "F1" not in itertools.chain.from_iterable(erp.ids("rep"))
        reps = {key.id: erp.rep(key, change.raw or b"") for key, change in self.told(erp, "rep")[0].items()}
        assert set(reps) == {"R0", "R1", "R2"}
        assert not reps["R1"].active  # an agent it still is, but elsewhere
        found, _ = self.customers(erp, None)
        assert [one.rep for one in found["C0"].assignments] == ["R0", "R1"]
        assert found["F1"].business == "customer"
        assert [key.id for key in self.told(erp, "invoice")[0]] == ["1", "3"]
        for name in ("rep/F1", "invoice/2"):
            with pytest.raises(NotThere):
                erp.fetch(Key.parse(f"erp/{name}"))

    def test_a_row_that_comes_late_with_an_early_time_is_read(self, erp: Tryton) -> None:
        """A long transaction: its rows carry the time of its beginning."""
        began = self.world.now
        self.world.now += timedelta(seconds=300)
        self.touch("customer")
        _, cursor = self.customers(erp, None)
        self.world.tables["party.address"][2] |= {"city": "Rome", "write_date": began}
        assert self.customers(erp, cursor)[0]["C1"].billing.city == "Rome"

    def test_a_row_that_is_dated_ahead_hides_nothing(self, erp: Tryton) -> None:
        self.touch("customer")
        self.world.tables["party.address"][2] |= {"write_date": self.world.now + timedelta(days=30)}
        _, cursor = self.customers(erp, None)
        self.world.now += timedelta(days=1)
        name = self.add("customer")
        assert name in self.customers(erp, cursor)[0]

    def test_many_rows_of_one_microsecond(self, erp: Tryton) -> None:
        _, cursor = self.customers(erp, None)
        self.world.now += timedelta(days=1)
        for number in range(9):
            self.world.create("party.party", by_the_way=bool(number), code=f"TW{number}", name="Twin")
        pages = list(erp.changes_since("customer", cursor))
        assert len(pages) == 5
        assert {change.key.id for page in pages for change in page.changes} == {f"TW{number}" for number in range(9)}

    def test_counting_many_rows_part_by_part(self, erp: Tryton, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("connectors.census.MANY", 3)
        for case in ("removed", "moved", "e-mail"):
            self.world.__dict__.update(furnished().__dict__)
            self.test_what_the_partys_own_times_do_not_say(erp, case)

    @pytest.mark.parametrize("many", [5_000, 3])
    def test_a_row_given_to_a_neighbour(self, erp: Tryton, monkeypatch: pytest.MonkeyPatch, many: int) -> None:
        """The count of the part in which both lie is what it was."""
        monkeypatch.setattr("connectors.census.PARTS", 2)
        monkeypatch.setattr("connectors.census.MANY", many)
        _, cursor = self.customers(erp, None)
        self.world.now += timedelta(days=1)
        parties = self.world.tables["party.party"]
        c0, c1 = (next(id for id, row in parties.items() if row["code"] == code) for code in ("C0", "C1"))
        census = from_text(cursor, "erp").census["commission.agent.selection"]
        assert census.part(c0) == census.part(c1)
        rows = self.world.tables["commission.agent.selection"].items()
        self.world.write("commission.agent.selection", next(id for id, row in rows if row["party"] == c0), party=c1)
        found, later = self.customers(erp, cursor)
        assert {"C0", "C1"} <= set(found)
        self.world.now += timedelta(days=3)
        _, later = self.customers(erp, later)
        assert self.customers(erp, later)[0] == {}

    # ------------------------------------------------------------------------------------------------- stock

    def test_stock_is_rounded_to_its_unit_and_counts_what_is_planned(self, erp: Tryton) -> None:
        self.world.create("stock.move", company=1, product=1, quantity=1.1, state="done")
        self.world.create(
            "stock.move", company=1, product=1, quantity=-2.0, state="assigned", planned_date=None, effective_date=None
        )
        change = erp.fetch(Key("erp", "stock", "WH/SKU-0"))
        level = erp.stock(change.key, change.raw or b"")
        assert b"6.199999999999999" in (change.raw or b"")
        assert (level.on_hand, level.available) == (Decimal("6.20"), Decimal("4.20"))

    def test_a_day_that_passes_changes_stock(self, erp: Tryton) -> None:
        due = self.world.now.date() + timedelta(days=4)
        self.world.create(
            "stock.move", company=1, product=2, quantity=1.0, state="draft", planned_date=due, effective_date=None
        )
        self.world.now += timedelta(days=3)  # long written, and nobody writes any more
        _, cursor = self.told(erp, "stock")
        assert self.told(erp, "stock", cursor)[0] == {}
        self.world.now += timedelta(days=1)
        found, cursor = self.told(erp, "stock", cursor)
        assert {key.id for key in found} == {"WH/SKU-1"}
        assert from_text(cursor, "erp").day == due.isoformat()
        assert self.told(erp, "stock", cursor)[0] == {}

    def test_warehouses_by_code_or_name(self) -> None:
        world = furnished()
        world.create("stock.location", type="warehouse", code="W/2", name="Second")
        world.create("stock.location", type="warehouse", code="OLD", name="Old", active=False)
        for wanted, names in (
            ((), {"WH", "W-2"}),
            (("Second",), {"W-2"}),
            (("WH", "W/2"), {"WH", "W-2"}),
            (("OLD",), {"OLD"}),
        ):
            erp = connect(httpx.MockTransport(world.answer), warehouses=wanted)
            ids = list(itertools.chain.from_iterable(erp.ids("stock")))
            assert {name.partition("/")[0] for name in ids} == names
            change = erp.fetch(Key("erp", "stock", ids[0]))
            assert erp.stock(change.key, change.raw or b"").warehouse in names
        with pytest.raises(RetryLater, match="there are WH, W-2, OLD"):
            list(connect(httpx.MockTransport(world.answer), warehouses=("NO",)).ids("stock"))

    # ------------------------------------------------------------------------------------------- what is lacking

    def test_a_customer_without_a_number_is_kept_with_its_problem(self, erp: Tryton) -> None:
        number = self.world.create("party.party", code=None, name="Nameless")
        problems = [one for page in erp.changes_since("customer", None) for one in page.changes if one.problem]
        (change,) = problems
        assert change.key.kind == "delivery"
        assert change.problem is not None
        assert f"id {number} has no code" in change.problem
        assert "Nameless" not in change.problem
        assert "What to do: " in change.problem
        again = [one for page in erp.changes_since("customer", None) for one in page.changes if one.problem]
        assert (again[0].key, again[0].dedupe) == (change.key, change.dedupe)

    def test_an_agent_without_a_code_is_named_by_its_id(self, erp: Tryton) -> None:
        self.world.write("party.party", 2, code=None)
        found = erp.fetch(Key("erp", "customer", "C0"))
        assert [one.rep for one in erp.customer(found.key, found.raw or b"").assignments] == ["party-2", "R1"]
        change = erp.fetch(Key("erp", "rep", "party-2"))
        assert erp.rep(change.key, change.raw or b"").code == "party-2"
        (finding,) = [one for one in erp.check() if one.subject == "rep codes"]
        assert (finding.level, finding.message.split()[0]) == ("warning", "5")

    def test_without_the_module_commission_customers_are_read_all_the_same(self) -> None:
        world = furnished()
        world.modules = tuple(one for one in world.modules if one != "commission")
        erp = connect(httpx.MockTransport(world.answer), kinds=("customer",))
        found, cursor = self.customers(erp, None)
        assert found["C0"].assignments == ()
        assert "commission.agent.selection" not in from_text(cursor, "erp").census
        assert [one.subject for one in erp.check() if one.level == "problem"] == ["commission"]

    def test_booleans_of_sqlite(self, erp: Tryton) -> None:
        self.world.booleans_are_numbers = True
        self.world.write("party.party", 5, active=False)
        found, _ = self.customers(erp, None)
        assert {name for name, one in found.items() if not one.active} == {"C0"}
        assert found["C1"].billing.city == "Berlin"

    def test_rights_that_are_missing_are_named_and_pause_the_connection(self, erp: Tryton) -> None:
        self.world.hidden = {"account.invoice", "sale.sale"}
        self.world.preferences = {**self.world.preferences, "groups": []}
        found = {one.subject: one for one in erp.check() if one.level != "ok"}
        assert set(found) == {"groups", "account.invoice", "sale.sale"}
        assert "add the group Sales" in found["sale.sale"].what_to_do
        assert all(one.what_to_do for one in found.values())
        with pytest.raises(RetryLater, match=r"does not let our user read account\.invoice") as caught:
            list(erp.changes_since("invoice", None))
        assert (caught.value.cause, caught.value.scope) == ("auth", "connection")

    def test_companies(self) -> None:
        world = furnished()
        for company, wanted in (("Nowhere", "no company 'Nowhere'"), ("", "has no company for our user")):
            world.preferences = {"company": None}
            erp = connect(httpx.MockTransport(world.answer), company=company)
            with pytest.raises(RetryLater, match=wanted):
                list(erp.ids("product"))
            assert any(one.level == "problem" and "company" in one.message for one in erp.check())
        world.preferences = {"company": 2, "companies": [1, 2], "groups": [1]}
        erp = connect(httpx.MockTransport(world.answer), company="Our Own")
        assert [one.subject for one in erp.check() if one.level == "problem"] == ["company"]

    # ------------------------------------------------------------------------------------------------- sessions

    def test_a_session_that_is_over_is_renewed_once(self, erp: Tryton) -> None:
        assert any(erp.ids("product"))
        self.world.sessions.clear()
        assert any(erp.ids("product"))
        assert self.world.logins == 2

    def test_a_session_that_is_over_at_once_is_a_refused_login(self, erp: Tryton) -> None:
        self.world.before_answer = lambda method: self.world.sessions.clear()
        with pytest.raises(RetryLater, match="refuses the login of orderwire") as caught:
            list(erp.ids("product"))
        assert (caught.value.cause, self.world.logins) == ("auth", 2)

    def test_the_password_is_in_no_error(self) -> None:
        world = furnished()
        world.password = "another"
        with pytest.raises(RetryLater) as caught:
            list(connect(httpx.MockTransport(world.answer)).ids("product"))
        assert "secret" not in str(caught.value)
        assert world.logins == 1

    @pytest.mark.parametrize(
        ("error", "kind", "cause"),
        [
            (["UserError", ['You are not allowed to access "Party".', "", None]], RetryLater, "auth"),
            (["UserWarning", ["late", "This is late.", ""]], Held, "validation/value"),
            (["ConcurrencyException", ["party.party", 4]], RetryLater, "busy"),
            (["LoginException", ["password", "Password for Anna", "password"]], RetryLater, "auth"),
            (["RateLimitException", []], RetryLater, "rate limit"),
            (["'nope'", ""], RetryLater, "configuration"),
            (["no such column: a.create_date", ""], RetryLater, "remote 5xx"),
            ([], RetryLater, "remote 5xx"),
            (None, RetryLater, "remote 5xx"),
            ({"Anna": "Anna"}, RetryLater, "remote 5xx"),
            ([["Anna"]], RetryLater, "remote 5xx"),
        ],
    )
    def test_errors_come_as_http_200(self, error: Any, kind: type[OrderwireError], cause: str) -> None:
        world = furnished()

        def answer(request: httpx.Request) -> httpx.Response:
            if b"common.db.login" in request.content or b"get_preferences" in request.content:
                return world.answer(request)
            return httpx.Response(200, json={"id": 1, "error": error})

        with pytest.raises(kind, match="What to do: ") as caught:
            list(connect(httpx.MockTransport(answer)).ids("product"))
        assert getattr(caught.value, "cause", caught.value.error_class) == cause
        assert "Anna" not in str(caught.value)

    @pytest.mark.parametrize("status", [301, 302, 404])
    def test_a_wrong_address_is_said(self, status: int) -> None:
        erp = connect(httpx.MockTransport(lambda request: httpx.Response(status)))
        with pytest.raises(RetryLater, match="check `url` and `database`") as caught:
            list(erp.ids("product"))
        assert caught.value.cause == "configuration"

    def test_rows_in_another_order_are_not_believed(self) -> None:
        world = furnished()

        def answer(request: httpx.Request) -> httpx.Response:
            given = world.answer(request)
            body = given.json()
            if b"product.product.search_read" in request.content and isinstance(body.get("result"), list):
                return httpx.Response(200, json={**body, "result": body["result"][::-1]})
            return given

        with pytest.raises(RetryLater, match="not in the order"):
            list(connect(httpx.MockTransport(answer)).ids("product"))
