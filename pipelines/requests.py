"""A customer asks to be called, or writes: kept at once, then an activity on the account in the CRM, exactly once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from connectors.roles import CustomerNote, Noting
from core.errors import Held, RetryLater
from core.keys import external_id
from core.settings import RepFlowSettings
from core.visible import in_one_line, visible
from ledger.flows import REHEARSED
from ledger.inbox import Route
from ledger.jobs import Outcome
from ledger.requests import KIND, CustomerRequest, Limits
from mapping.canonical import Probe
from mapping.identity import fold_erp
from pipelines import doubles, parties, repowners
from pipelines.context import Context
from pipelines.reprun import RepRun
from pipelines.standing import UNTIL_LIVE

KEPT: Final = timedelta(days=90)
"""How long a request's text and phone number stay in the ledger once it is in the CRM."""
FORGET_EVERY: Final = 86_400.0
RequestKind = Literal["call", "write"]
LIMITS: Final = Limits(most=5, within=3600.0, same_within=600.0)
"""Of one customer. A second press of the button is no second request."""
LONGEST: Final = 2000
"""Characters of a text."""
_PHONE: Final = re.compile(r"[0-9+()/.\- ]{3,40}(?: ?(?:ext\.?|x) ?[0-9]{1,6})?")
_KINDS: Final = frozenset({"call", "write"})


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request. `message` is for the customer who sent it, in English and without anything of the house."""

    status: Literal["taken", "again", "limited", "refused"]
    """taken: it is kept (durably) and will reach the rep. again: the same one was kept a moment ago. limited: too many of this
    customer lately. refused: nothing in it to act on, or the card takes no requests.
    """
    message: str
    id: str = ""
    wait: float = 0.0
    """limited: seconds after which one more is taken."""

    @property
    def kept(self) -> bool:
        """Whether the customer may rest."""
        return self.status in {"taken", "again"}


def take(context: Context, source: str, customer: str, kind: RequestKind, text: str, phone: str) -> Taken:
    """Keep a request from the card of `customer` (a number of the ERP connection `source`; both from a verified token)."""
    flow = _flow_of(context, source)
    if flow is None or not customer.strip():
        return Taken("refused", "Requests cannot be taken here. Please use the phone or e-mail shown.")
    wrote, number = _readable(text), in_one_line(" ".join(phone.split()))
    refusal = _refusal(kind, wrote, number)
    if refusal:
        return Taken("refused", refusal)
    route = Route(flow.name, flow.target, "live")  # somebody waits for it; there are few
    kept = context.ledger.requests.keep(route, source, customer, LIMITS, kind=kind, text=wrote, phone=number)
    if kept.what == "limited":
        return Taken("limited", "You have sent several requests already. Please try again later.", wait=kept.wait)
    return Taken("taken" if kept.what == "new" else "again", "Your request has been received.", kept.id)


def forget(context: Context) -> int:
    """Empty what customers wrote long ago and has reached whom it was for. At how many requests."""
    return context.ledger.requests.forget(KEPT)


def _flow_of(context: Context, source: str) -> RepFlowSettings | None:
    """The flow that brings this ERP's customers to a CRM; the first where there are several."""
    return next((flow for flow in context.reps.values() if flow.source == source and flow.target), None)


def _readable(text: str) -> str:
    """Without what acts in a terminal or a page; no more than one empty line at a time."""
    lines = visible(text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip()


def _refusal(kind: str, text: str, phone: str) -> str:
    """Why this cannot be taken, for the customer; "" if it can."""
    if kind not in _KINDS:
        return "This kind of request is not known."
    if len(text) > LONGEST:
        return f"Please shorten your message to {LONGEST} characters."
    if phone and not _PHONE.fullmatch(phone):
        return "Please give a phone number with digits only."
    return "Please write a message." if kind == "write" and not text else ""


# -- into the CRM ------------------------------------------------------------------------------------------------------


def carry(run: RepRun) -> Outcome:
    """The request as an activity on the customer's account, assigned to who serves. Raises the taxonomy of core.errors."""
    request = run.ledger.requests.get(run.claim.key.id)
    if request is None:
        raise Held(
            "This request is not in the ledger any more. What to do: skip this job.", error_class="missing reference"
        )
    link = run.ledger.links.get(run.to, KIND, str(run.claim.key))
    if link is not None and link.linked:
        return _settled(request, "is in the CRM already")
    if run.rehearsed:
        return Outcome(
            "retry",
            f"Rehearsed only: customer {request.customer} asks for something. What to do: `orderwire flow live {run.flow.name}` "
            "lets it reach the CRM.",
            error_class=REHEARSED,
            seconds=UNTIL_LIVE,
            burns=False,
            number=request.customer[:120],
        )
    crm = run.crm
    if not isinstance(crm, Noting):
        raise Held(
            f"{run.to} takes no activities. What to do: call the customer back yourself, then skip this job.",
            error_class="configuration",
        )
    account = _account(run, request)
    owner = _owner(run, request)
    ensured = _ensured(run, crm, request, account, owner)
    return _settled(request, f"was given to {owner}" if ensured else f"was in {run.to} already")


def _ensured(run: RepRun, crm: Noting, request: CustomerRequest, account: str, owner: str) -> bool:
    """Whether it was created now. The account is noted with the intent: a customer's accounts may be merged before we look
    again.
    """
    key = str(run.claim.key)
    link = run.intend(KIND, [key], new_refs=json.dumps({"account": account})).links[0]
    accounts = doubles.accounts_of(link, account)
    if account not in doubles.accounts_of(link):
        run.ledger.links.note(link, refs={"account": account, "before": ",".join(doubles.accounts_of(link))})
    note = _note(run, request)
    ensured = run.ensure(
        KIND,
        key,
        payload_hash=note.external_id,
        find=lambda: crm.find_request(note, accounts),
        create=lambda: crm.log_request(note, account, owner),
    )
    return ensured.created


def _note(run: RepRun, request: CustomerRequest) -> CustomerNote:
    stored = run.ledger.reps.card(request.source, request.customer)
    name = in_one_line(stored.name) if stored is not None else ""
    asks = "asks to be called" if request.kind == "call" else "writes"
    title = f"Customer {in_one_line(request.customer)} {asks}"
    facts = [
        f"From: {name} (customer {in_one_line(request.customer)})" if name else "",
        f"Phone: {request.phone}" if request.phone else "",
        f"Sent from the portal on {request.at:%Y-%m-%d %H:%M} UTC",
    ]
    text = "\n".join(fact for fact in facts if fact)
    # The same formula as `pipelines.doubles` looks for.
    id = external_id(request.source, KIND, request.id)
    return CustomerNote(id, title, f"{text}\n\n{request.text}".strip(), request.at)


def _account(run: RepRun, request: CustomerRequest) -> str:
    """The customer's account, alive. Raises `Held` where there is none."""
    identity = fold_erp(request.customer)
    account = repowners.account_of(run.ledger, run.to, identity) or _asked(run, request.customer, identity)
    if not account:
        raise Held(
            f"Customer {request.customer} asks for something and has no account in {run.to}. What to do: call or write to "
            f"the customer; create the account there with this customer number (`orderwire check {run.to}` shows the field), "
            "then retry.",
            error_class="missing reference",
            field="customer",
        )
    party = run.crm.get_party("account", account)
    if party is None or party.deleted:
        run.ledger.parties.forget(run.to, account)
        run.ledger.links.unlink(run.to, repowners.CUSTOMER, account)
        raise RetryLater(
            f"The account of this customer was deleted or merged in {run.to}. What to do: nothing, it is looked for again.",
            seconds=1.0,
            cause="missing reference",
            detail=account,
        )
    return account


def _asked(run: RepRun, number: str, identity: str) -> str:
    """The index does not know it: ask the CRM itself (it may have been added a moment ago)."""
    found = run.crm.find_customer(Probe(erp_number=number))
    parties.store(run.ledger, run.to, found, run.flow.region)
    return repowners.account_of(run.ledger, run.to, identity)


def _owner(run: RepRun, request: CustomerRequest) -> str:
    """Who serves, in the CRM's words; else the flow's owner."""
    book = run.context.books.get(request.source)
    stored = run.ledger.reps.card(request.source, request.customer)
    rep = book.directory.named(stored.rep, stored.agency) if stored is not None and stored.rep else None
    owner = repowners.owner_of(run.crm, book, rep, run.to) if rep is not None else ""
    if not (owner or run.flow.owner):
        who = f"{rep.code} {rep.name}".strip() + " has no name in the CRM" if rep is not None else "nobody serves them"
        raise Held(
            f"Customer {request.customer} asks for something, and {who}. What to do: give the flow {run.flow.name} an `owner`, "
            f"or the rep a name in the owners of {run.to}, then retry.",
            error_class="missing reference",
            field="owner",
        )
    return owner or run.flow.owner


def _settled(request: CustomerRequest, became: str) -> Outcome:
    return Outcome("settled", f"The request of customer {request.customer} {became}.", number=request.customer[:120])
