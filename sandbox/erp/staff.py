"""What the company's people do in the ERP, in their words: give a customer another rep, at once or later; let a rep go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from sandbox.erp.tables import Row, Tables

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Agent:
    """A rep as the pages show it."""

    id: int
    party: int
    code: str
    name: str
    email: str
    phone: str
    mobile: str
    active: bool
    serves: int
    """How many customers it is assigned to."""


@dataclass(frozen=True, slots=True)
class Serving:
    """One row of `commission.agent.selection`."""

    id: int
    agent: Agent
    first: date | None
    last: date | None
    today: bool


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as the pages show it."""

    id: int
    number: str
    name: str
    email: str
    city: str
    served_by: tuple[Serving, ...]


class Staff:
    """Reads and writes the tables as Tryton's own client would."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    # -- looking -------------------------------------------------------------------------------------------------------

    def agents(self) -> list[Agent]:
        """Every agent, archived ones as well."""
        with self.tables.lock:
            return [self._agent(row) for row in self.tables.rows("commission.agent")]

    def agent(self, code: str) -> Agent | None:
        """The agent of this code."""
        return next((agent for agent in self.agents() if agent.code == code), None)

    def customers(self) -> list[Customer]:
        """Every party that is neither our company nor an agent."""
        with self.tables.lock:
            others = {
                row["party"] for model in ("company.company", "commission.agent") for row in self.tables.rows(model)
            }
            return [self._customer(row) for row in self.tables.rows("party.party") if row["id"] not in others]

    def customer(self, number: str) -> Customer | None:
        """The customer of this number."""
        return next((one for one in self.customers() if one.number == number), None)

    def _customer(self, row: Row) -> Customer:
        mine = [one for one in self.tables.rows("commission.agent.selection") if one["party"] == row["id"]]
        mine.sort(key=lambda one: (one["sequence"] is not None, one["sequence"] or 0, one["id"]))
        places = [
            one["city"] for one in self.tables.rows("party.address") if one["party"] == row["id"] and one["active"]
        ]
        return Customer(
            row["id"], row["code"] or "", row["name"] or "", self._reached(row["id"], "email"),
            next((place for place in places if place), ""), tuple(self._serving(one) for one in mine),
        )  # fmt: skip

    def _serving(self, row: Row) -> Serving:
        day, first, last = self.tables.now().date(), row["start_date"], row["end_date"]
        agent = self._agent(self.tables.get("commission.agent", row["agent"]))
        return Serving(row["id"], agent, first, last, (first or day) <= day <= (last or day))

    def _agent(self, row: Row) -> Agent:
        party = self.tables.row("party.party", row["party"]) or {}
        serves = {one["party"] for one in self.tables.rows("commission.agent.selection") if one["agent"] == row["id"]}
        email, phone, mobile = (self._reached(row["party"], kind) for kind in ("email", "phone", "mobile"))
        return Agent(
            id=row["id"], party=row["party"], code=party.get("code") or "", name=party.get("name") or "",
            email=email, phone=phone, mobile=mobile, active=bool(row["active"]), serves=len(serves),
        )  # fmt: skip

    def _reached(self, party: int, kind: str) -> str:
        row = self._mechanism(party, kind)
        return str(row["value"]) if row else ""

    def _mechanism(self, party: int, kind: str) -> Row | None:
        rows = self.tables.rows("party.contact_mechanism")
        return next((one for one in rows if one["party"] == party and one["type"] == kind and one["active"]), None)

    # -- doing ---------------------------------------------------------------------------------------------------------

    def give(self, number: str, code: str, day: date | None = None) -> None:
        """This rep serves the customer: alone from `day` on, whoever serves then ends the day before; without a day at once, in
        place of whoever comes first now. ValueError where there is no such customer or rep.
        """
        with self.tables.lock:
            customer, agent = self._known(number, code)
            if day is None:
                current = next((one for one in customer.served_by if one.today), None)
                if current is None:
                    self.add(number, code)
                else:
                    self.tables.write("commission.agent.selection", current.id, agent=agent.id)
                return
            for one in customer.served_by:
                if one.first is not None and one.first >= day:
                    self.tables.delete("commission.agent.selection", one.id)
                elif one.last is None or one.last >= day:
                    self.tables.write("commission.agent.selection", one.id, end_date=day - _DAY)
            self.add(number, code, first=day)

    def add(self, number: str, code: str, *, first: date | None = None, last: date | None = None) -> None:
        """One more rep for the customer, behind the others."""
        with self.tables.lock:
            customer, agent = self._known(number, code)
            rows = self.tables.rows("commission.agent.selection")
            sequence = 1 + max((one["sequence"] or 0 for one in rows if one["party"] == customer.id), default=0)
            self.tables.create(
                "commission.agent.selection",
                party=customer.id,
                agent=agent.id,
                sequence=sequence,
                start_date=first,
                end_date=last,
            )

    def take_away(self, number: str, selection: int) -> None:
        """Delete one row of the customer's reps: over there that leaves no trace."""
        with self.tables.lock:
            customer = self.customer(number)
            if customer is not None and any(one.id == selection for one in customer.served_by):
                self.tables.delete("commission.agent.selection", selection)

    def change_agent(self, code: str, *, active: bool, **reached: str) -> None:
        """Whether the rep works here still, and how it is reached: email, phone, mobile ("" takes it away)."""
        with self.tables.lock:
            agent = self.agent(code)
            if agent is None:
                raise ValueError(f"There is no rep {code}. What to do: choose one of the list.")
            if agent.active != active:
                self.tables.write("commission.agent", agent.id, active=active)
            for kind, value in reached.items():
                self._reach(agent.party, kind, value.strip())

    def _reach(self, party: int, kind: str, value: str) -> None:
        row = self._mechanism(party, kind)
        if row is None and value:
            self.tables.create("party.contact_mechanism", party=party, type=kind, value=value)
        elif row is not None and not value:
            self.tables.delete("party.contact_mechanism", row["id"])
        elif row is not None and row["value"] != value:
            self.tables.write("party.contact_mechanism", row["id"], value=value)

    # -- orders --------------------------------------------------------------------------------------------------------

    def take_order(self, reference: str, total: Decimal, promised: date | None) -> int:
        """Somebody enters an order of the web store, and the day on which it should leave; the sale's id."""
        with self.tables.lock:
            company = self.tables.rows("company.company")[0]
            number = len(self.tables.rows("sale.sale")) + 1
            return self.tables.create(
                "sale.sale",
                number=str(number),
                reference=reference,
                state="processing",
                company=company["id"],
                currency=company["currency"],
                total_amount=total,
                shipping_date=promised,
            )

    def promise(self, reference: str, day: date | None) -> None:
        """Another day was agreed on. ValueError where there is no such sale."""
        self._change_sale(reference, shipping_date=day)

    def cancel(self, reference: str) -> None:
        """The sale is called off. ValueError where there is no such sale."""
        self._change_sale(reference, state="cancelled")

    def _change_sale(self, reference: str, **values: object) -> None:
        with self.tables.lock:
            found = [row["id"] for row in self.tables.rows("sale.sale") if row["reference"] == reference]
            if not found:
                raise ValueError(f"There is no sale {reference}. What to do: choose one of the list.")
            for number in found:
                self.tables.write("sale.sale", number, **values)

    def _known(self, number: str, code: str) -> tuple[Customer, Agent]:
        customer, agent = self.customer(number), self.agent(code)
        if customer is None:
            raise ValueError(f"There is no customer {number}. What to do: choose one of the list.")
        if agent is None:
            raise ValueError(f"There is no rep {code}. What to do: choose one of the list.")
        return customer, agent
