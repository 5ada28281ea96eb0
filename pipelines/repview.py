"""A card as the customer sees it, and what is missing: before the customer tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from connectors.roles import Owning
from core.errors import Held
from core.keys import Key
from core.settings import PortalSettings, RepFlowSettings
from ledger.reps import StoredCard
from mapping.canonical import ErpCustomer
from mapping.cards import Card, CardRep, card_of, team_card
from mapping.identity import fold_erp
from mapping.reps import Resolution, resolve
from pipelines.context import Context
from pipelines.desk import Refused, Unknown
from pipelines.repowners import account_of, owner_of
from pipelines.reprun import day_in


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that is missing or wrong, and what to do about it."""

    what: str
    advice: str
    grave: bool = True
    """False: the customer sees a right card all the same."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What the customer of this number sees on a day."""

    source: str
    customer: str
    name: str
    day: date
    today: bool
    portal: PortalSettings | None
    """Whose team stands in; None: no `[[portal]]` shows cards of this ERP."""
    card: Card
    """As it is shown, the team's where nobody nearer serves."""
    kept: StoredCard | None
    resolution: Resolution | None
    """None: it cannot be resolved."""
    lacks: tuple[Lack, ...]


def source_of(context: Context, name: str = "") -> RepFlowSettings:
    """The flow of sales reps of this name, or the first one. Raises Unknown."""
    flow = context.reps.get(name) if name else next(iter(context.reps.values()), None)
    if flow is None:
        what = f"There is no flow of sales reps named {name!r}" if name else "No flow of sales reps is configured"
        raise Unknown(f"{what}. What to do: see [[reps]] in the configuration.")
    return flow


def preview(
    context: Context, flow: RepFlowSettings, number: str, *, portal: str = "", on: date | None = None
) -> Preview:
    """What this customer sees: what is kept, or for another day than today what would be. Raises Unknown and Refused."""
    number, today = number.strip(), day_in(context, flow.zone)
    if not number:
        raise Refused("The customer is missing. What to do: give the customer's number in the ERP.")
    day, shower = on or today, _portal(context, flow, portal)
    lacks: list[Lack] = []
    customer = _customer(context, flow, number, lacks)
    kept = context.ledger.reps.card(flow.source, number)
    resolution, fresh = None, Card(customer=number)
    if customer is not None:
        directory = context.books.get(flow.source).directory
        resolution = resolve(directory, customer, day)
        fresh = card_of(resolution, directory, customer, day)
        lacks += _of_resolution(resolution)
        lacks += _of_targets(context, flow, customer, resolution)
    if day == today:
        lacks += _of_keeping(kept, fresh, customer)
        fresh = Card.model_validate_json(kept.card) if kept is not None and kept.card else Card(customer=number)
    lacks += _of_portal(flow, shower) + _of_card(fresh)
    card = _with_team(context, flow, shower, fresh, day).model_copy(update={"customer": number, "name": ""})
    name = customer.name if customer is not None else kept.name if kept is not None else ""
    return Preview(flow.source, number, name, day, day == today, shower, card, kept, resolution, tuple(lacks))


def _portal(context: Context, flow: RepFlowSettings, name: str) -> PortalSettings | None:
    mine = [one for one in context.portals.values() if one.source == flow.source]
    if name and name not in {one.name for one in mine}:
        raise Unknown(
            f"There is no portal {name!r} for {flow.source}. What to do: see [[portal]] in the configuration."
        )
    return next((one for one in mine if not name or one.name == name), None)


def _customer(context: Context, flow: RepFlowSettings, number: str, lacks: list[Lack]) -> ErpCustomer | None:
    key = Key(flow.source, "customer", number)
    record = context.ledger.inbox.record(key)
    if record is None:
        lacks.append(
            Lack(f"{flow.source} has told of no customer {number}.", "look at the number; wait for the next poll")
        )
        return None
    if record.deleted or record.raw is None:
        lacks.append(Lack(f"{flow.source} has this customer no more.", "nothing, or create the customer there again"))
        return None
    try:
        customer = context.erp(flow.source).customer(key, record.raw)
    except Held as error:
        what, _, advice = error.message.partition(" What to do: ")
        lacks.append(Lack(what, advice))
        return None
    if customer.business != "customer":
        lacks.append(Lack(f"{customer.name or number} is a business that sells, not a customer.", "choose a customer"))
    if not customer.active:
        lacks.append(Lack("The customer is not active in the ERP.", "nothing, if that is right", grave=False))
    return customer


def _of_resolution(resolution: Resolution) -> list[Lack]:
    found = [
        Lack(f"The code {code} is nobody's.", f"add a rep with the code {code}, or correct the customer in the ERP")
        for code in resolution.unknown
    ]
    if not resolution.reps:
        found.append(
            Lack("Nobody serves this customer.", "assign a rep in the ERP, or one to its region or the team here")
        )
    return found


def _of_targets(context: Context, flow: RepFlowSettings, customer: ErpCustomer, resolution: Resolution) -> list[Lack]:
    """What the CRM lacks. It is not asked: the ledger knows."""
    crm = context.crms.get(flow.target)
    if crm is None or not isinstance(crm, Owning):
        return []
    found: list[Lack] = []
    try:
        account = account_of(context.ledger, flow.target, fold_erp(customer.number))
        if not account:
            found.append(
                Lack(
                    f"It has no account in {flow.target}.", "nothing: it is looked for again when it comes", grave=False
                )
            )
        primary = resolution.primary
        if primary is not None and not owner_of(crm, context.books.get(flow.source), primary.rep, flow.target):
            who = f"{primary.rep.code} {primary.rep.name}".strip()
            found.append(
                Lack(f"{who} owns nothing in {flow.target}.", "enter the rep's owner on the reps page", grave=False)
            )
    except Held as error:
        what, _, advice = error.message.partition(" What to do: ")
        found.append(Lack(what, advice, grave=False))
    return found


def _of_keeping(kept: StoredCard | None, fresh: Card, customer: ErpCustomer | None) -> list[Lack]:
    """What is shown is what was kept last."""
    if customer is None or customer.business != "customer":
        return []
    if kept is None or not kept.card:
        return [Lack("The card is not made yet.", "see the job of this customer")]
    if Card.model_validate_json(kept.card) != fresh:
        return [
            Lack("The card is about to change.", "look again in a moment; if it stays, see the job of this customer")
        ]
    return []


def _of_portal(flow: RepFlowSettings, portal: PortalSettings | None) -> list[Lack]:
    if portal is None:
        return [Lack(f"No shop shows cards of {flow.source}.", "configure [[portal]]", grave=False)]
    return []


def _of_card(card: Card) -> list[Lack]:
    return [lack for one in card.reps for lack in _of_rep(one)]


def _of_rep(one: CardRep) -> list[Lack]:
    who = f"{one.code} {one.name}".strip()
    found: list[Lack] = []
    if not one.email and not one.phone and not one.mobile:
        found.append(
            Lack(
                f"{who} can neither be called nor written to.",
                "add a phone number or an e-mail address, and release it",
            )
        )
    if one.email and not one.mailto():
        found.append(Lack(f"The e-mail address of {who} cannot be clicked.", f"correct {one.email}"))
    if (one.phone and not one.tel) or (one.mobile and not one.mobile_tel):
        found.append(Lack(f"A number of {who} cannot be dialled by a click.", f"correct {one.phone or one.mobile}"))
    if not one.photo:
        found.append(Lack(f"{who} has no picture.", "nothing, or add the address of one and release it", grave=False))
    return found


def _with_team(context: Context, flow: RepFlowSettings, portal: PortalSettings | None, card: Card, day: date) -> Card:
    """As the portal shows it: whoever has nobody is shown the team of the directory, else that of the configuration."""
    if card.reps:
        return card
    found = team_card(context.books.get(flow.source).directory, day)
    if found.reps or portal is None:
        return found
    team = portal.team
    one = CardRep(name=team.name, title=team.title, email=team.email, phone=team.phone, roles=("team",))
    return Card(customer="", reps=(one,), team=True)
