"""Odoo keeps to what every ERP keeps to, over both protocols, and to more: whole seconds, archived addresses, its own errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import ValidationError

from connectors import odoo
from connectors.odoo import Odoo, OdooSettings
from connectors.odoo.errors import TABLE
from connectors.odoo.tables import wire_time
from connectors.roles import ErpKind
from connectors.walk import IDS_PER_PAGE, from_text
from core.clock import Clock
from core.errors import NotThere, OrderwireError, RetryLater
from core.keys import Change, Key
from core.secrets import SecretRef
from mapping.canonical import ErpCustomer
from pipelines import wiring
from tests.contract.odoo_world import World
from tests.contract.walk_conformance import Local, WalkedErp


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODOO_TEST_KEY", "secret")


def connect(transport: httpx.BaseTransport, *, clock: Clock | None = None, **settings: Any) -> Odoo:
    values: dict[str, Any] = {
        "name": "erp",
        "url": "https://odoo.example",
        "database": "odoo",
        "username": "orderwire",
        "api_key": SecretRef("env:ODOO_TEST_KEY"),
        "per_page": 2,
        **settings,
    }
    made = odoo.build(OdooSettings.model_validate(values), transport=transport, clock=clock)
    made._client.http._sleep = lambda seconds: None
    return made


def to(world: World, **settings: Any) -> Odoo:
    return connect(httpx.MockTransport(world.answer), **settings)


def furnished(version: str = "19.0") -> World:
    """A company with three reps, three teams, five customers, three articles and three invoices, all three days old."""
    world = World(version)
    company = world.create(
        "res.company",
        name="Our Own",
        partner_id=world.create("res.partner", ref="OWN", name="Our Own", is_company=True),
    )
    money, unit = world.create("res.currency", name="EUR"), world.create("uom.uom", name="Units")
    world.create("stock.warehouse", code="WH", name="Warehouse", company_id=company)
    world.create("res.country", code="DE", name="Germany")
    world.create("res.country.state", code="BY", name="Bavaria")
    users = [add_user(world, f"R{number}") for number in range(3)]
    for number in range(3):
        add_team(world, f"Team {number}", users[number])
    for number in range(5):
        add_customer(world, f"C{number}", users[number % 2])
    for number in range(3):
        add_product(world, f"SKU-{number}", money, unit)
        add_invoice(world)
    world.now += timedelta(days=3)
    return world


def add_user(world: World, ref: str | None, **values: Any) -> int:
    partner = world.create(
        "res.partner", ref=None, name=f"Rep {ref}", email="rep@own.example", lang="de_DE", function="Sales"
    )
    world.tables["res.partner"][partner]["ref"] = ref
    own = {"login": f"{ref}@own.example", "share": False, "company_ids": [1], "company_id": 1, **values}
    return world.create("res.users", partner_id=partner, **own)


def add_team(world: World, name: str, leader: int | None, members: tuple[int, ...] = ()) -> int:
    team = world.create("crm.team", name=name, user_id=leader, company_id=1, member_ids=list(members))
    for user in members:
        world.create("crm.team.member", crm_team_id=team, user_id=user)
    return team


def add_customer(world: World, ref: str, user: int | None) -> int:
    partner = world.create(
        "res.partner", ref=ref, name=f"Customer {ref}", is_company=True, customer_rank=1, user_id=user, team_id=1,
        email=f"{ref}@customer.example", phone="+49 30 1", vat="DE1", street="Street 1", city="Berlin", zip="10115",
        country_id=1, state_id=1,
    )  # fmt: skip
    world.create(
        "res.partner", parent_id=partner, type="delivery", name="Yard", street="Yard 1", city="Munich", user_id=user
    )
    world.create("res.partner", parent_id=partner, type="contact", name="Somebody", ref=f"{ref}-1")
    return partner


def add_product(world: World, code: str, money: int = 1, unit: int = 1) -> int:
    values = {"type": "consu", "is_storable": True} if world.major >= 18 else {"type": "product"}
    product = world.create(
        "product.product", default_code=code, name=code, product_tmpl_id=world.create("product.template", name=code),
        lst_price=60.0, currency_id=money, uom_id=unit, **values,
    )  # fmt: skip
    world.create("stock.move", company_id=1, product_id=product, quantity=5.1, state="done")
    return product


def add_invoice(world: World, **values: Any) -> int:
    number = world.create("account.move", **{
        "company_id": 1, "move_type": "out_invoice", "state": "draft", "payment_state": "not_paid", "name": "/",
        "commercial_partner_id": customer_id(world, "C0"), "currency_id": 1, "amount_untaxed": 120.0, "amount_tax": 22.8,
        "amount_total": 142.79999999999998, "amount_residual": 42.8, "invoice_date_due": date(2026, 12, 22), "invoice_origin": "S00001", **values,
    })  # fmt: skip
    world.create(
        "account.move.line", move_id=number, display_type="product", product_id=1, quantity=3.0, price_unit=40.0,
        price_subtotal=120.0, price_total=142.79999999999998, name="Widget",
    )  # fmt: skip
    world.create("account.move.line", move_id=number, display_type="tax", name="VAT", quantity=1.0)
    return number


def customer_id(world: World, ref: str) -> int:
    return next(number for number, row in world.tables["res.partner"].items() if row.get("ref") == ref)


class OdooConformance(WalkedErp):
    """What holds for every version."""

    version: ClassVar[str]
    world: World

    def build(self) -> Odoo:
        self.world = furnished(self.version)
        self._numbers = itertools.count(100)
        self._ids = {name: customer_id(self.world, name) for name in ("C0", "C1", "C2")}
        return to(self.world, clock=Local(self.world))

    def at(self, world: Any, clock: Clock) -> Odoo:
        return to(world, clock=clock)

    def through(self, transport: httpx.MockTransport) -> Odoo:
        return connect(transport)

    def touch(self, kind: ErpKind) -> str:
        number = next(self._numbers)
        if kind == "customer":  # one of its addresses: its own time does not move
            child = customer_id(self.world, "C0") + 1
            self.world.write("res.partner", child, street=f"Yard {number}")
            return "C0"
        if kind == "rep":
            self.world.write("res.partner", customer_id(self.world, "R0"), name=f"Somebody {number}")
            return "R0"
        if kind == "region":
            self.world.write("crm.team", 1, name=f"Team {number}")
            return "team-1"
        if kind == "stock":
            self.world.create("stock.move", company_id=1, product_id=1, quantity=1.0, state="done")
            return "WH/SKU-0"
        if kind == "product":
            self.world.write("product.template", 1, name=f"Thing {number}")
            self.world.tables["product.product"][1]["name"] = f"Thing {number}"  # the variant shows its template's
            return "SKU-0"
        self.world.write("account.move", 1, state="posted", name=f"INV/{number}")
        return "1"

    def add(self, kind: ErpKind) -> str:
        number = next(self._numbers)
        if kind == "customer":
            add_customer(self.world, f"C{number}", 1)
            return f"C{number}"
        if kind == "rep":
            add_user(self.world, f"R{number}")
            return f"R{number}"
        if kind == "region":
            return f"team-{add_team(self.world, 'New', 1)}"
        if kind == "invoice":
            return str(add_invoice(self.world))
        add_product(self.world, f"SKU-{number}")
        return f"WH/SKU-{number}" if kind == "stock" else f"SKU-{number}"

    def remove(self, kind: ErpKind) -> str:
        world = self.world
        if kind in {"product", "stock"}:
            number = 2 if kind == "product" else 3
            world.delete("product.product", number)
            return f"SKU-{number - 1}" if kind == "product" else f"WH/SKU-{number - 1}"
        model, number, name = {
            "customer": ("res.partner", self._ids["C1"], "C1"),
            "rep": ("res.users", 2, "R1"),
            "region": ("crm.team", 2, "team-2"),
            "invoice": ("account.move", 2, "2"),
        }[kind]
        world.delete(model, number)
        return name

    def mapped_customers(self, erp: Odoo, cursor: str | None = None) -> tuple[dict[str, ErpCustomer], str]:
        found, last = self.told(erp, "customer", cursor)
        return {
            key.id: erp.customer(key, change.raw or b"") for key, change in found.items() if not change.problem
        }, last

    # ------------------------------------------------------------------------------------------------- what it says

    def test_a_customer_with_its_rep_team_and_addresses(self, erp: Odoo) -> None:
        found, _ = self.mapped_customers(erp)
        one = found["C1"]
        assert set(found) == {"C0", "C1", "C2", "C3", "C4", "OWN", "R0", "R1", "R2"}
        assert (one.name, one.business, one.active, one.vat_number) == ("Customer C1", "customer", True, "DE1")
        assert (one.billing.country, one.billing.state, one.billing.city) == ("DE", "Bavaria", "Berlin")
        assert [(place.address.company, place.address.city) for place in one.ship_tos] == [("Yard", "Munich")]
        assert [(serves.subject, serves.rep, serves.role) for serves in one.assignments] == [
            ("customer", "R1", "primary")
        ]
        assert one.region == "team-1"
        assert {name: each.business for name, each in found.items() if each.business != "customer"} == {
            "OWN": "own", "R0": "rep", "R1": "rep", "R2": "rep",
        }  # fmt: skip

    def test_the_protocol_is_chosen_once_and_said(self, erp: Odoo) -> None:
        world, asked = self.world, []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            return world.answer(request)

        erp = connect(httpx.MockTransport(answer))
        for kind in erp.kinds:
            list(erp.ids(kind))
        json2 = world.major >= 19
        assert (erp._client.way().protocol, erp._client.way().major) == ("json2" if json2 else "jsonrpc", world.major)
        assert asked.count("/jsonrpc") == 1 if json2 else set(asked) == {"/jsonrpc"}
        said = next(one for one in erp.check() if one.subject == "version")
        assert f"Odoo {world.version} over {'JSON-2' if json2 else 'JSON-RPC'}" in said.message


class TestOdoo17(OdooConformance):
    """JSON-RPC; other fields for what is stored, and a mobile number."""

    version = "17.0"

    def test_mobile(self, erp: Odoo) -> None:
        self.world.write("res.partner", customer_id(self.world, "R0"), mobile="+49 170 1")
        change = erp.fetch(Key("erp", "rep", "R0"))
        rep = erp.rep(change.key, change.raw or b"")
        assert (rep.mobile, rep.title, rep.languages) == ("+49 170 1", "Sales", ("de-DE",))

    def test_a_login_that_is_over_is_renewed_once(self, erp: Odoo) -> None:
        assert any(erp.ids("product"))
        erp._client._user._value = 7  # the database was restored with other ids
        assert any(erp.ids("product"))
        assert erp._client._user.current() == 1

    def test_an_update_to_a_version_without_jsonrpc_is_noticed(self, erp: Odoo) -> None:
        assert any(erp.ids("product"))
        self.world.version, self.world.rpc_is_there = "22.0", False
        assert any(erp.ids("product"))
        assert (erp._client.way().protocol, erp._client.way().version) == ("json2", "22.0")


class TestOdoo19(OdooConformance):
    version = "19.0"

    # --------------------------------------------------------------------------------- what the feed must not miss

    @pytest.mark.parametrize("version", ["18.0", "19.0"])
    def test_many_rows_of_one_second(self, version: str) -> None:
        """The reading stops in the middle of a second, and goes on behind it: nothing is lost, and it ends."""
        world = furnished(version)
        erp = to(world, overlap=10)
        world.now = world.now.replace(microsecond=100_000)
        for number in range(5):
            add_customer(world, f"A{number}", 1)
        found, cursor = self.mapped_customers(erp)
        assert len(found) == 14
        mark = from_text(cursor, "erp").since
        assert mark == world.now.replace(microsecond=0)  # whole seconds, and never later
        for number in range(5):
            add_customer(world, f"B{number}", 1)
        assert world.now.replace(microsecond=0) == mark
        found, cursor = self.mapped_customers(erp, cursor)
        assert {f"B{number}" for number in range(5)} <= set(found)
        naive = [["write_date", ">", wire_time(mark)]]
        world.now += timedelta(days=3)
        _, cursor = self.mapped_customers(erp, cursor)
        assert self.mapped_customers(erp, cursor)[0] == {}
        again = erp._client.search_read("res.partner", naive, ["ref"])
        assert bool(again) is (version == "18.0")  # the trap: read for ever, or never

    @pytest.mark.parametrize("version", ["18.0", "19.0"])
    @pytest.mark.parametrize("microseconds", [0, 200_000, 999_999])
    def test_the_first_second_that_is_read_again_is_read_whole(self, version: str, microseconds: int) -> None:
        world = furnished(version)
        erp = to(world, overlap=600)
        _, cursor = self.mapped_customers(erp)
        since = from_text(cursor, "erp").since
        assert since is not None
        began = since - timedelta(seconds=600) + timedelta(microseconds=microseconds)
        world.tables["res.partner"][customer_id(world, "C1")] |= {"city": "Rome", "write_date": began}
        assert self.mapped_customers(erp, cursor)[0]["C1"].billing.city == "Rome"

    def test_pages_do_not_shift_while_a_record_is_written(self, erp: Odoo) -> None:
        """Ordered by time, the record written behind us would push one of the next page into this one."""
        _, cursor = self.mapped_customers(erp)
        for number in range(5):
            self.world.write("res.partner", customer_id(self.world, f"C{number}"), city="Rome")
        seen: set[str] = set()
        for page in erp.changes_since("customer", cursor):
            seen |= {change.key.id for change in page.changes}
            self.world.write("res.partner", customer_id(self.world, "C0"), city="Paris")
        assert {f"C{number}" for number in range(5)} <= seen

    @pytest.mark.parametrize(
        "case", ["new address", "changed address", "archived address", "deleted address", "moved address", "rep's code"]
    )
    def test_what_the_contacts_own_time_does_not_say(self, erp: Odoo, case: str) -> None:
        world = self.world
        _, cursor = self.mapped_customers(erp)
        world.now += timedelta(days=1)
        c0, c1 = customer_id(world, "C0"), customer_id(world, "C1")
        changes: dict[str, tuple[Callable[[], object], set[str]]] = {
            "new address": (lambda: world.create("res.partner", parent_id=c0, type="delivery", name="Second"), {"C0"}),
            "changed address": (lambda: world.write("res.partner", c0 + 1, city="Rome"), {"C0"}),
            "archived address": (lambda: world.write("res.partner", c0 + 1, active=False), {"C0"}),
            "deleted address": (lambda: world.delete("res.partner", c0 + 1), {"C0"}),
            "moved address": (lambda: world.write("res.partner", c0 + 1, parent_id=c1), {"C0", "C1"}),
            "rep's code": (lambda: world.write("res.partner", customer_id(world, "R0"), ref="R77"), {"C0", "C2", "C4"}),
        }
        change, wanted = changes[case]
        change()
        found, later = self.mapped_customers(erp, cursor)
        assert wanted <= set(found)
        assert len(found) < 9, "not everything is read again"
        assert not wanted & {
            row.get("ref")
            for row in world.tables["res.partner"].values()
            if row["write_date"] > world.now - timedelta(hours=1)
        }
        if "address" in case:
            assert len(found["C0"].ship_tos) == {"new": 2, "changed": 1}.get(case.partition(" ")[0], 0)
        else:
            assert found["C0"].assignments[0].rep == "R77"
        world.now += timedelta(days=3)
        _, later = self.mapped_customers(erp, later)
        assert self.mapped_customers(erp, later)[0] == {}

    def test_counting_many_rows_part_by_part(self, erp: Odoo, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("connectors.census.MANY", 3)
        self.test_what_the_contacts_own_time_does_not_say(erp, "deleted address")

    def test_somebody_becomes_a_user(self, erp: Odoo) -> None:
        _, cursor = self.mapped_customers(erp)
        self.world.now += timedelta(days=1)
        self.world.create(
            "res.users",
            partner_id=customer_id(self.world, "C3"),
            login="c3",
            share=False,
            company_ids=[1],
            company_id=1,
        )
        assert self.mapped_customers(erp, cursor)[0]["C3"].business == "rep"

    def test_a_customer_who_may_log_in_to_the_portal_is_a_customer(self, erp: Odoo) -> None:
        partner = customer_id(self.world, "C3")
        self.world.create("res.users", partner_id=partner, login="c3", share=True, company_ids=[1], company_id=1)
        assert self.mapped_customers(erp)[0]["C3"].business == "customer"
        assert "user-4" not in itertools.chain.from_iterable(erp.ids("rep"))

    def test_teams_follow_their_leader_members_and_codes(self, erp: Odoo) -> None:
        def regions(cursor: str | None) -> tuple[dict[str, list[str]], str]:
            found, last = self.told(erp, "region", cursor)
            mapped = [erp.region(key, change.raw or b"") for key, change in found.items()]
            return {one.key.id: [serves.rep for serves in one.assignments] for one in mapped}, last

        team = add_team(self.world, "Many", None, (3, 2))
        found, cursor = regions(None)
        assert (found["team-1"], found[f"team-{team}"]) == (["R0"], ["R1", "R2"])
        self.world.now += timedelta(days=3)
        _, cursor = regions(cursor)
        assert regions(cursor)[0] == {}
        self.world.delete("crm.team.member", 2)
        self.world.tables["crm.team"][team]["member_ids"] = [3]
        found, cursor = regions(cursor)
        assert found[f"team-{team}"] == ["R2"]
        self.world.now += timedelta(days=3)
        _, cursor = regions(cursor)
        self.world.create("crm.team.member", crm_team_id=team, user_id=2)
        self.world.tables["crm.team"][team]["member_ids"] = [3, 2]
        found, cursor = regions(cursor)
        assert found[f"team-{team}"] == ["R1", "R2"]
        self.world.write("res.partner", customer_id(self.world, "R2"), ref=None)
        found, cursor = regions(cursor)
        assert found[f"team-{team}"] == ["R1", "user-3"]
        self.world.write("crm.team", team, active=False)
        assert regions(cursor)[0][f"team-{team}"] == []

    def test_a_row_that_comes_late_with_an_early_time_is_read(self, erp: Odoo) -> None:
        """A long transaction: its rows carry the time of its beginning."""
        began = self.world.now
        self.world.now += timedelta(seconds=300)
        self.touch("customer")
        _, cursor = self.mapped_customers(erp)
        self.world.tables["res.partner"][customer_id(self.world, "C1")] |= {"city": "Rome", "write_date": began}
        assert self.mapped_customers(erp, cursor)[0]["C1"].billing.city == "Rome"

    def test_writing_the_same_again_is_no_other_state(self, erp: Odoo) -> None:
        key = Key("erp", "customer", "C0")
        before = erp.fetch(key)
        self.world.write("res.partner", customer_id(self.world, "C0"), city="Berlin")
        assert erp.fetch(key).content == before.content

    def test_a_page_takes_few_requests_however_many_records_it_has(self, erp: Odoo) -> None:
        """What rows refer to is asked for a page, not for a row."""
        for number in range(20):
            state = self.world.create("res.country.state", code=f"S{number}", name=f"State {number}")
            partner = add_customer(self.world, f"M{number}", add_user(self.world, f"N{number}"))
            self.world.write("res.partner", partner, state_id=state)
        self.world.requests.clear()
        erp = to(self.world, per_page=500)
        assert len(list(erp.changes_since("customer", None))) == 1
        assert len(self.world.requests) < 20

    # ------------------------------------------------------------------------------------------------- who is who

    def test_an_archived_customer_is_told_as_not_active(self, erp: Odoo) -> None:
        self.world.write("res.partner", customer_id(self.world, "C2"), active=False)
        self.world.write("res.users", 2, active=False)
        found, _ = self.mapped_customers(erp)
        assert {name for name, one in found.items() if not one.active} == {"C2"}
        assert found["C1"].assignments[0].rep == "R1"  # whoever left is still the code there
        change = erp.fetch(Key("erp", "rep", "R1"))
        assert not erp.rep(change.key, change.raw or b"").active

    def test_a_customer_without_a_number_is_kept_with_its_problem(self, erp: Odoo) -> None:
        number = self.world.create("res.partner", name="Nameless", customer_rank=1)
        problems = [one for page in erp.changes_since("customer", None) for one in page.changes if one.problem]
        (change,) = problems
        assert change.key.kind == "delivery"
        assert change.problem is not None
        assert f"id {number} has no Reference" in change.problem
        assert "Nameless" not in change.problem
        assert [one.subject for one in erp.check() if one.level == "warning"] == ["customers"]

    def test_two_contacts_with_one_reference(self, erp: Odoo) -> None:
        """Odoo lets them: the first is the customer, the second is told."""
        second = self.world.create("res.partner", name="Second", ref=" C1 ".rstrip(), customer_rank=1)
        changes = [one for page in erp.changes_since("customer", None) for one in page.changes]
        (problem,) = [one.problem for one in changes if one.problem]
        assert f"{customer_id(self.world, 'C1')} and {second} have the same Reference" in problem
        ids = list(itertools.chain.from_iterable(erp.ids("customer")))
        assert ids.count("C1") == 1
        assert b"Customer C1" in (erp.fetch(Key("erp", "customer", "C1")).raw or b"")

    def test_an_id_is_listed_once_however_far_its_second_record_is(self, erp: Odoo) -> None:
        for number in range(IDS_PER_PAGE):
            self.world.create("product.product", default_code=f"P{number}", company_id=1)
        self.world.create("product.product", default_code="SKU-0", company_id=1)
        pages = list(erp.ids("product"))
        assert len(pages) == 2
        ids = list(itertools.chain.from_iterable(pages))
        assert len(ids) == len(set(ids)) == IDS_PER_PAGE + 3

    def test_a_number_with_a_blank_is_found(self, erp: Odoo) -> None:
        self.world.write("res.partner", customer_id(self.world, "C1"), ref="C1 ")
        assert b"Customer C1" in (erp.fetch(Key("erp", "customer", "C1")).raw or b"")

    def test_customers_by_id(self, erp: Odoo) -> None:
        erp = to(self.world, customer_number="id", clock=Local(self.world))
        number = str(customer_id(self.world, "C1"))
        found, _ = self.mapped_customers(erp)
        assert found[number].name == "Customer C1"
        assert number in itertools.chain.from_iterable(erp.ids("customer"))
        change = erp.fetch(Key("erp", "invoice", "1"))
        assert erp.invoice(change.key, change.raw or b"").customer == str(customer_id(self.world, "C0"))
        assert [one.subject for one in erp.check() if one.level != "ok"] == []

    def test_a_rep_without_a_code_is_named_by_its_id(self, erp: Odoo) -> None:
        self.world.write("res.partner", customer_id(self.world, "R0"), ref=None)
        found = erp.fetch(Key("erp", "customer", "C0"))
        assert [one.rep for one in erp.customer(found.key, found.raw or b"").assignments] == ["user-1"]
        change = erp.fetch(Key("erp", "rep", "user-1"))
        assert erp.rep(change.key, change.raw or b"").code == "user-1"
        (finding,) = [one for one in erp.check() if one.subject == "rep codes"]
        assert (finding.level, finding.message.split()[0]) == ("warning", "3")

    def test_the_salesperson_of_an_address_counts_where_it_is_wanted(self, erp: Odoo) -> None:
        address = customer_id(self.world, "C0") + 1
        self.world.write("res.partner", address, user_id=3)
        found = self.mapped_customers(erp)[0]["C0"]
        assert [(one.subject, one.rep) for one in found.assignments] == [("customer", "R0")]
        erp = to(self.world, ship_to_reps=True)
        found = self.mapped_customers(erp)[0]["C0"]
        assert [(one.subject, one.rep) for one in found.assignments] == [("customer", "R0"), ("ship_to", "R2")]
        assert (found.assignments[1].subject_id, found.ship_tos[0].number) == (str(address), str(address))
        _, cursor = self.mapped_customers(erp)
        self.world.now += timedelta(days=1)
        self.world.write("res.partner", customer_id(self.world, "R2"), ref="R9")
        assert self.mapped_customers(erp, cursor)[0]["C0"].assignments[1].rep == "R9"

    def test_what_belongs_to_another_company_is_not_told(self, erp: Odoo) -> None:
        world = self.world
        world.write("account.move", 2, company_id=2)
        world.write("res.partner", customer_id(world, "C4"), company_id=2)
        add_user(world, "F1", company_ids=[2])
        assert [key.id for key in self.told(erp, "invoice")[0]] == ["1", "3"]
        for name in ("rep/F1", "invoice/2", "customer/C4"):
            with pytest.raises(NotThere):
                erp.fetch(Key.parse(f"erp/{name}"))

    def test_companies(self) -> None:
        world = furnished()
        with pytest.raises(RetryLater, match="no company 'Nowhere'"):
            list(to(world, company="Nowhere").ids("product"))
        assert next(one for one in to(world, company="Our Own").check() if one.subject == "company").level == "ok"
        world.tables["res.users"][1]["company_id"] = None
        with pytest.raises(RetryLater, match="has no company for our user"):
            list(to(world).ids("product"))

    # ------------------------------------------------------------------------------------------- goods and invoices

    def test_stock_of_each_warehouse(self) -> None:
        world = furnished()
        world.create("stock.warehouse", code="W/2", name="Second", company_id=1)
        world.create("stock.warehouse", code="OLD", name="Old", active=False, company_id=1)
        world.create("stock.move", company_id=1, product_id=1, quantity=1.1, state="done")
        world.create("stock.move", company_id=1, product_id=1, quantity=-2.0, state="assigned")
        for wanted, names in (((), {"WH", "W-2"}), (("Second",), {"W-2"}), (("OLD",), {"OLD"})):
            erp = to(world, warehouses=wanted)
            ids = list(itertools.chain.from_iterable(erp.ids("stock")))
            assert {name.partition("/")[0] for name in ids} == names
            change = erp.fetch(Key("erp", "stock", ids[0]))
            level = erp.stock(change.key, change.raw or b"")
            assert (level.on_hand, level.available) == (Decimal("6.2"), Decimal("4.2"))
        with pytest.raises(RetryLater, match="there are WH, W-2, OLD"):
            list(to(world, warehouses=("NO",)).ids("stock"))

    def test_invoices_in_every_state(self, erp: Odoo) -> None:
        states = [
            ({"state": "draft"}, "draft"),
            ({"state": "posted", "payment_state": "not_paid"}, "open"),
            ({"state": "posted", "payment_state": "partial"}, "open"),
            ({"state": "posted", "payment_state": "in_payment"}, "paid"),
            ({"state": "posted", "payment_state": "reversed"}, "paid"),
            ({"state": "posted", "payment_state": "new word"}, "unknown"),
            ({"state": "cancel"}, "cancelled"),
        ]
        for values, status in states:
            assert self._invoice(erp, add_invoice(self.world, **values)).status == status
        found = self._invoice(erp, 1)
        assert (found.net, found.tax, found.total) == (Decimal("120.00"), Decimal("22.80"), Decimal("142.80"))
        assert (found.customer, found.order, found.number, found.due) == ("C0", "S00001", "", date(2026, 12, 22))
        assert [(line.sku, line.quantity, line.net) for line in found.lines] == [("SKU-0", Decimal(3), Decimal(120))]
        assert (found.lines[0].tax, found.balance) == (Decimal("22.80"), None)
        paid = add_invoice(self.world, state="posted", payment_state="partial", ref="WEB-1001")
        partly = self._invoice(erp, paid)
        assert (partly.balance, partly.reference, partly.order) == (Decimal("42.80"), "WEB-1001", "S00001")

    def test_credit_notes(self, erp: Odoo) -> None:
        found = self._invoice(erp, add_invoice(self.world, move_type="out_refund"))
        assert (found.credit, found.total, found.lines[0].quantity) == (True, Decimal("142.80"), Decimal(3))
        below = {"amount_untaxed": -120.0, "amount_tax": -22.8, "amount_total": -142.8}
        found = self._invoice(erp, add_invoice(self.world, **below))
        assert (found.credit, found.total, found.tax) == (True, Decimal("142.80"), Decimal("22.80"))

    def _invoice(self, erp: Odoo, number: int) -> Any:
        change = erp.fetch(Key("erp", "invoice", str(number)))
        return erp.invoice(change.key, change.raw or b"")

    # ------------------------------------------------------------------------------------------- what is lacking

    def test_rights_and_apps_that_are_missing_are_named(self, erp: Odoo) -> None:
        self.world.hidden, self.world.missing = {"account.move", "stock.move"}, {"crm.team"}
        found = {one.subject: one for one in erp.check() if one.level == "problem"}
        assert set(found) == {"account.move", "stock.move", "crm.team"}
        assert "Invoicing: at least Billing" in found["account.move"].what_to_do
        assert "install the app Sales, or leave region out" in found["crm.team"].what_to_do
        with pytest.raises(RetryLater, match=r"does not let our user read account\.move\. What to do: ") as caught:
            list(erp.changes_since("invoice", None))
        assert (caught.value.cause, caught.value.scope) == ("auth", "connection")
        assert "Anna" not in str(caught.value)

    def test_without_invoicing_and_teams_customers_are_read_all_the_same(self) -> None:
        world = furnished()
        world.missing = {"res.partner.customer_rank", "res.partner.team_id", "account.move", "crm.team"}
        world.create("res.partner", name="Nobody's")
        found, _ = self.mapped_customers(to(world, kinds=("customer",)))
        assert (found["C0"].region, found["C0"].assignments[0].rep) == ("", "R0")

    @pytest.mark.parametrize(
        ("version", "protocol", "level"),
        [("15.0", "auto", "problem"), ("16.0", "auto", "warning"), ("18.0", "auto", "ok"), ("saas~18.4", "auto", "ok"),
         ("19.0", "auto", "ok"), ("19.0", "json2", "ok"), ("19.0", "jsonrpc", "warning"), ("20.0", "auto", "warning")],
    )  # fmt: skip
    def test_the_check_says_which_odoo_it_is(self, version: str, protocol: str, level: str) -> None:
        world = furnished(version.removeprefix("saas~"))
        world.version = world.version if "~" not in version else "18.4"
        found = {one.subject: one for one in to(world, protocol=protocol).check()}
        assert found["version"].level == level

    def test_the_check_notices_an_update(self, erp: Odoo) -> None:
        self.world.version = "18.0"
        assert any("JSON-RPC" in one.message for one in erp.check())
        self.world.version = "19.0"
        assert any("JSON-2" in one.message for one in erp.check())

    # ---------------------------------------------------------------------------------------------- login and errors

    @pytest.mark.parametrize("version", ["18.0", "19.0"])
    def test_a_wrong_key_is_a_refused_login_and_in_no_error(self, version: str) -> None:
        world = furnished(version)
        world.key = "another"
        with pytest.raises(RetryLater, match=r"refuses .* login.*API key") as caught:
            list(to(world).ids("product"))
        assert (caught.value.cause, caught.value.scope) == ("auth", "connection")
        assert "secret" not in str(caught.value)

    def test_a_key_that_is_over_while_we_read(self) -> None:
        world = furnished("18.0")
        erp = to(world)
        assert any(erp.ids("product"))
        world.key = "another"
        with pytest.raises(RetryLater, match="refuses the login of orderwire"):
            list(erp.ids("product"))

    @pytest.mark.parametrize(
        ("name", "message", "cause"),
        [
            ("odoo.exceptions.AccessError", "You may not read Anna", "auth"),
            ("odoo.exceptions.MissingError", "Record of Anna does not exist", "busy"),
            ("psycopg2.errors.SerializationFailure", "could not serialize", "busy"),
            ("werkzeug.exceptions.TooManyRequests", "slow", "rate limit"),
            ("builtins.KeyError", "'crm.team'", "configuration"),
            ("builtins.KeyError", "'Anna'", "remote 5xx"),
            ("psycopg2.OperationalError", 'connection failed: database "odoo" does not exist', "configuration"),
            ("odoo.exceptions.ValidationError", "Anna", "remote 5xx"),
            ("", "Anna", "remote 5xx"),
        ],
    )
    @pytest.mark.parametrize("protocol", ["json2", "jsonrpc"])
    def test_errors(self, protocol: str, name: str, message: str, cause: str) -> None:
        world = furnished()
        error = {"name": name, "message": message, "debug": "/srv/app"}

        def answer(request: httpx.Request) -> httpx.Response:
            if b"product.product" not in request.content and "product.product" not in request.url.path:
                return world.answer(request)
            if protocol == "json2":
                return httpx.Response(500, json=error)
            return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "data": error}})

        with pytest.raises(OrderwireError, match="What to do: ") as caught:
            list(connect(httpx.MockTransport(answer), protocol=protocol).ids("product"))
        assert isinstance(caught.value, RetryLater)
        assert caught.value.cause == cause
        assert "Anna" not in str(caught.value)
        assert "/srv" not in str(caught.value)

    def test_every_error_of_the_table_says_what_to_do(self) -> None:
        assert all(name and make is not None for name, make in TABLE.items())

    @pytest.mark.parametrize("status", [301, 302, 404])
    def test_a_wrong_address_is_said(self, status: int) -> None:
        erp = connect(httpx.MockTransport(lambda request: httpx.Response(status)))
        with pytest.raises(RetryLater, match="check `url` and `database`") as caught:
            list(erp.ids("product"))
        assert caught.value.cause == "configuration"

    def test_a_database_that_is_not_there(self) -> None:
        with pytest.raises(RetryLater, match="has no database other") as caught:
            list(to(furnished(), database="other").ids("product"))
        assert caught.value.cause == "configuration"

    def test_rows_in_another_order_are_not_believed(self) -> None:
        world = furnished()

        def answer(request: httpx.Request) -> httpx.Response:
            given = world.answer(request)
            if request.url.path.endswith("product.product/search_read"):
                return httpx.Response(200, json=given.json()[::-1])
            return given

        with pytest.raises(RetryLater, match="not in the order"):
            list(connect(httpx.MockTransport(answer)).ids("product"))

    def test_no_method_that_writes_can_be_called(self, erp: Odoo) -> None:
        with pytest.raises(ValueError, match="none of the methods that read"):
            erp._client.ask("res.partner", "write", ids=[1], vals={})


def test_changes_carry_no_stamp() -> None:
    """Odoo keeps times of rows, in whole seconds: what was fetched later is the newer state."""
    erp = to(furnished())
    changes: list[Change] = [one for page in erp.changes_since("customer", None) for one in page.changes]
    assert {one.stamp for one in changes} == {None}
    assert all(one.fetched_at is not None and one.fetched_at.tzinfo is UTC for one in changes)


def test_it_is_built_from_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "orderwire.toml"
    file.write_text(
        '[ledger]\nurl = "sqlite:///x.db"\n\n[[connection]]\nname = "erp"\nconnector = "odoo"\nurl = "https://odoo.example/"\n'
        'database = "company"\nusername = "orderwire"\napi_key = "env:ODOO_TEST_KEY"\nkinds = ["customer", "rep"]\n',
        encoding="utf-8",
    )
    wired = wiring.build(wiring.load(file))
    assert wired.erps["erp"].kinds == {"customer", "rep"}
    wired.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "odoo.example"},
        {"url": "https://odoo.example/odoo"},
        {"url": "https://user@odoo.example"},
        {"database": "a/b"},
        {"kinds": ["order"]},
        {"overlap": 1},
        {"protocol": "xmlrpc"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        to(furnished(), **wrong)
