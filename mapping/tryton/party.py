"""A party of Tryton as a customer with its reps, and an agent's party as a rep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from mapping.canonical import Address, ErpCustomer, Key, RepAssignment, SalesRep, ShipTo
from mapping.tryton.wire import Raw, code_of, day, fault, flag, many, newest, one, rep_code, same, text

Business = Literal["customer", "own", "rep"]
_BUSINESS: Final[dict[str, Business]] = {"own": "own", "agent": "rep"}
"""What the connector found out about a party (`_is`) -> what it is to us. An agent is a rep, whose code is the party's own;
Tryton does not say of which firm."""
_FIRST: Final = -(2**31)


def customer_from_tryton(key: Key, row: Raw) -> ErpCustomer:
    """A row of `party.party` as the connector reads it (connectors/tryton/fields.py). Raises `Held`."""
    same(key, code_of(row), "code")
    addresses = [address for address in many(row, "addresses") if flag(address, "active", "addresses.", absent=True)]
    billing = next((one for one in addresses if flag(one, "invoice", "addresses.", absent=False)), None)
    return ErpCustomer(
        key=key,
        name=text(row, "name"),
        business=_BUSINESS.get(text(row, "_is"), "customer"),
        active=flag(row, "active", absent=True),
        email=contact(row, "email"),
        phone=contact(row, "phone") or contact(row, "mobile"),
        vat_number=text(one(row, "tax_identifier"), "code", "tax_identifier."),
        billing=_address(billing or (addresses[0] if addresses else {})),
        ship_tos=tuple(_ship_to(address) for address in addresses if _delivers(address, addresses)),
        assignments=_assignments(key, row),
        stamp=newest(row),
    )


def rep_from_tryton(key: Key, row: Raw) -> SalesRep:
    """A party with `_agents`, all agents of the company that are this party. Raises `Held`."""
    same(key, rep_code(row), "code")
    agents = many({"agents.": row.get("_agents")}, "agents")
    active = any(flag(agent, "active", "agents.", absent=True) for agent in agents)
    language = text(one(row, "lang"), "code", "lang.")
    return SalesRep(
        key=key,
        name=text(row, "name"),
        email=contact(row, "email"),
        phone=contact(row, "phone"),
        mobile=contact(row, "mobile"),
        languages=(language.replace("_", "-"),) if language else (),
        active=active and flag(row, "active", absent=True),
        stamp=newest(row),
    )


def contact(row: Raw, kind: str) -> str:
    """The first active contact mechanism of this type, in Tryton's order."""
    for mechanism in many(row, "contact_mechanisms"):
        if mechanism.get("type") == kind and flag(mechanism, "active", "contact_mechanisms.", absent=True):
            value = text(mechanism, "value", "contact_mechanisms.").strip()
            if value:
                return value
    return ""


def _delivers(address: Raw, addresses: Sequence[Raw]) -> bool:
    """An address for deliveries; where none is marked as one, all of them."""
    marked = any(flag(one, "delivery", "addresses.", absent=False) for one in addresses)
    return not marked or flag(address, "delivery", "addresses.", absent=False)


def _ship_to(address: Raw) -> ShipTo:
    number = address.get("id")
    if not isinstance(number, int) or isinstance(number, bool):
        raise fault("addresses.id", number, "is not the id of a record")
    return ShipTo(number=str(number), address=_address(address))


def _address(row: Raw) -> Address:
    lines = [line.strip() for line in text(row, "street", "addresses.").splitlines() if line.strip()]
    return Address(
        company=text(row, "party_name", "addresses."),
        line1=lines[0] if lines else "",
        line2=", ".join(lines[1:]),
        city=text(row, "city", "addresses."),
        state=text(one(row, "subdivision", "addresses."), "name", "addresses.subdivision."),
        postal_code=text(row, "postal_code", "addresses."),
        country=text(one(row, "country", "addresses."), "code", "addresses.country."),
    )


def _assignments(key: Key, row: Raw) -> tuple[RepAssignment, ...]:
    """The agents in Tryton's own order, by sequence (those without one first), then id: the first that covers the day is the one
    a sale gets. The same agent may stand there twice, with other dates. Those of other companies are not ours.
    """
    company = row.get("_company")
    found = sorted(many(row, "agents"), key=_place)
    rows = [(selection, one(selection, "agent", "agents.")) for selection in found]
    return tuple(
        _assignment(key, rank, selection, agent)
        for rank, (selection, agent) in enumerate(rows)
        if company is None or agent.get("company") in (None, company)
    )


def _place(selection: Raw) -> tuple[int, int]:
    places = [selection.get("sequence"), selection.get("id")]
    for name, value in zip(("sequence", "id"), places, strict=True):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise fault(f"agents.{name}", value, "is not a whole number")
    return (_FIRST if places[0] is None else places[0], places[1] or 0)


def _assignment(key: Key, rank: int, selection: Raw, agent: Raw) -> RepAssignment:
    party = one(agent, "party", "agents.agent.")
    code = rep_code(party)
    if not code:
        raise fault(
            "agents.agent.party", "", "is not there: nobody knows who this agent is",
            "see whether the connection's user may read parties and agents, then have the customer read again",
        )  # fmt: skip
    return RepAssignment(
        subject="customer",
        subject_id=key.id,
        rep=code,
        rank=rank,
        first=day(selection, "start_date", "agents."),
        last=day(selection, "end_date", "agents."),
    )
