"""What is wrong with the reps of an ERP, and what to do about each: asked of the ledger alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from core.settings import RepFlowSettings
from ledger import Ledger
from ledger.reps import StoredCard
from mapping.canonical import SalesRep
from pipelines.repbook import Book, book

PAGE: Final = 500
EXAMPLES: Final = 5
Kind = Literal[
    "code without a person",
    "person without a customer",
    "customer without a rep",
    "departed rep still shown",
    "departed rep still assigned",
    "away without a deputy",
    "region unknown",
    "agency unknown",
    "rep without a name in the CRM",
]
GRAVE: Final[frozenset[Kind]] = frozenset({
    "code without a person", "customer without a rep", "departed rep still shown", "departed rep still assigned",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong. `subject`: a code, a customer number or a region; `customers`: how many it concerns, `examples`
    some of them.
    """

    kind: Kind
    subject: str
    message: str
    what_to_do: str
    customers: int = 0
    examples: tuple[str, ...] = ()

    @property
    def grave(self) -> bool:
        """Customers see it."""
        return self.kind in GRAVE


def check(ledger: Ledger, flow: RepFlowSettings, day: date, owners: Collection[str] | None = None) -> list[Complaint]:
    """Everything that is wrong, the gravest first. `owners`: the names of the CRM's owners table; None: there is no CRM."""
    return sorted(_Checking(ledger, flow, day, owners).all(), key=lambda one: (not one.grave, one.kind, one.subject))


class _Checking:
    def __init__(self, ledger: Ledger, flow: RepFlowSettings, day: date, owners: Collection[str] | None) -> None:
        self.ledger = ledger
        self.flow = flow
        self.day = day
        self.owners = owners
        self.book: Book = book(ledger, flow.source)
        self.directory = self.book.directory
        self.concerned = ledger.reps.concerned_codes(flow.source)
        self.held: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.nobodys: list[str] = []
        self.shown: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.regions: dict[str, list[str]] = defaultdict(list)

    def all(self) -> Iterator[Complaint]:
        after = ""
        while cards := self.ledger.reps.cards(self.flow.source, after=after, limit=PAGE):
            for card in cards:
                self._seen(card)
            after = cards[-1].customer
        yield from self._codes()
        yield from self._customers()
        for rep in self.directory.reps:
            yield from self._person(rep)
        known = {region.key.id for region in self.directory.regions}
        for region, customers in sorted(self.regions.items()):
            if known and region not in known:
                yield _of(
                    "region unknown",
                    region,
                    f"The region {region} is on {_customers(len(customers))}, and the directory does not have it.",
                    "see whether the ERP tells its regions, or enter the region on the reps page",
                    customers,
                )

    def _seen(self, card: StoredCard) -> None:
        resolution = json.loads(card.resolution) if card.resolution else {}
        if not card.rep and resolution.get("active", True):
            self.nobodys.append(card.customer)
        for one in resolution.get("reps", ()):
            self.shown[one["agency"], one["code"]].append(card.customer)
        for agency, code in resolution.get("assigned", ()):
            self.held[agency, code].append(card.customer)
        if card.region:
            self.regions[card.region].append(card.customer)

    def _codes(self) -> Iterator[Complaint]:
        deputies = {one.deputy for one in self.directory.absences}
        asked = {mine: (len(customers), customers[0]) for mine, customers in self.held.items()}
        asked |= {mine: found for mine, found in self.concerned.items() if mine[1] in deputies and mine not in asked}
        for (agency, code), (count, example) in sorted(asked.items()):
            if self.directory.named(code, agency) is None:
                yield Complaint(
                    "code without a person",
                    code,
                    f"{code}{f' of the agency {agency}' if agency else ''} is on {_customers(count)} (or their region), "
                    "and nobody has this code.",
                    "enter the person on the reps page or with `orderwire reps import`, or correct the code in "
                    f"{self.flow.source}",
                    count,
                    (example,),
                )

    def _customers(self) -> Iterator[Complaint]:
        if self.nobodys:
            yield _of(
                "customer without a rep",
                self.nobodys[0] if len(self.nobodys) == 1 else "",
                f"Nobody serves {_customers(len(self.nobodys))}.",
                f"assign somebody in {self.flow.source}, or a team for everybody on the reps page; "
                f"`orderwire reps resolve {self.nobodys[0]}` says what was looked at",
                self.nobodys,
            )

    def _person(self, rep: SalesRep) -> Iterator[Complaint]:
        mine = (rep.agency, rep.code)
        name = f"{rep.code} {rep.name}".strip()
        count, _one = self.concerned.get(mine, (0, ""))
        held = self.held.get(mine, [])
        today = [one for one in self.directory.absences_of(rep) if one.covers(self.day)]
        if not rep.active and (customers := self.shown.get(mine)):
            yield _of(
                "departed rep still shown",
                rep.code,
                f"{name} has left and is still on the card of {_customers(len(customers))}.",
                "see the jobs of these customers: `orderwire jobs list --state held`",
                customers,
            )
        if not rep.active and held and not any(one.deputy for one in today):
            yield Complaint(
                "departed rep still assigned",
                rep.code,
                f"{name} has left, is still assigned to {_customers(len(held))} (or their region), and nobody stands in.",
                f"`orderwire reps reassign --from {rep.code} --to CODE`, or name a deputy on the reps page",
                len(held),
                tuple(held[:EXAMPLES]),
            )
        if rep.active and today and not any(one.deputy for one in today):
            yield Complaint(
                "away without a deputy",
                rep.code,
                f"{name} is away and nobody stands in: whoever is next serves {_customers(len(held))}.",
                "name a deputy on the reps page",
                len(held),
                tuple(held[:EXAMPLES]),
            )
        if rep.active and not count:
            yield Complaint(
                "person without a customer",
                rep.code,
                f"{name} is assigned to no customer, no region and not as a deputy.",
                f"assign the code {rep.code} in {self.flow.source} if it is to serve somebody, or say that the person has left",
            )
        if rep.agency and all(agency.code != rep.agency for agency in self.directory.agencies):
            yield Complaint(
                "agency unknown",
                rep.code,
                f"{name} is of the agency {rep.agency}, which the directory does not have: shown as one of the own company.",
                "enter the agency on the reps page or with `orderwire reps import agencies`",
                count,
            )
        if rep.active and count and self.owners is not None and not self._named(rep):
            yield Complaint(
                "rep without a name in the CRM",
                rep.code,
                f"{name} has no name in the owners table of {self.flow.target}: its customers' owner "
                + (f"is {self.flow.owner}." if self.flow.owner else "stays as it is."),
                f"add {rep.code} to the owners of the connection {self.flow.target}, or say whom the rep is there",
                count,
            )

    def _named(self, rep: SalesRep) -> bool:
        entered = self.book.owners.get((rep.agency, rep.code))
        names = (entered,) if entered else (rep.code, rep.name, rep.email)
        return any(name in (self.owners or ()) for name in names if name)


def _of(kind: Kind, subject: str, message: str, what_to_do: str, customers: list[str]) -> Complaint:
    return Complaint(kind, subject, message, what_to_do, len(customers), tuple(customers[:EXAMPLES]))


def _customers(count: int) -> str:
    return "1 customer" if count == 1 else f"{count} customers"
