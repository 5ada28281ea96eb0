"""A second record of ours in the CRM: looked for after every creation that was in doubt, named, and the oldest kept.

The hold is a guess at how late an outside system may commit, and a unique field is only as good as the check behind it
(vtiger looks before it writes, without a lock). Whatever comes later than that is found here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from connectors.roles import CREDIT, Crm, CustomerNote, Noting, Ref
from core.errors import OrderwireError, RetryLater
from core.keys import Key, external_id
from ledger.alerts import Condition
from ledger.links import Link
from ledger.requests import KIND as REQUEST
from mapping.canonical import Probe
from pipelines.context import Context

log = structlog.get_logger(__name__)

FIRST_LOOK: Final = 2.0
"""Holds after a doubtful creation was resolved. The first answer was waited for one hold already: what is as late again as
we thought possible shows here, while a hold that is far too short is noticed within minutes."""
AGAIN: Final = 900.0
"""Seconds until the next look. Longer than any script, proxy or database transaction is usually let run; and while a double
is there, how often we look whether somebody has removed it."""
BATCH: Final = 20
"""Links a round and connection: a long outage leaves many, and orders go first."""


@dataclass(frozen=True, slots=True)
class Present:
    """What is there of one link, oldest first; the first is kept. `refs` are the link's further ids then."""

    records: Sequence[Ref]
    refs: dict[str, str] = field(default_factory=dict)
    others: Sequence[Ref] = ()
    """Further records of the same fact that are there twice (a customer's contacts), without the one that is kept."""

    @property
    def double(self) -> bool:
        """More than one of anything."""
        return len(self.records) > 1 or bool(self.others)


def look(context: Context, name: str) -> int:
    """Look at the doubtful links of one CRM that are due. How many doubles there are. Reads only; asks nothing of a
    connection that is blocked or paused. Raises RetryLater where the connection fails: the rest stays due.
    """
    state = context.ledger.states.get(name)
    if state is not None and (state.blocked_for > 0 or state.paused_for > 0):
        return 0
    same: dict[tuple[str, str], list[Link]] = defaultdict(list)
    for link in context.ledger.links.to_check(name, BATCH):
        same[link.kind, _external_id(link)].append(link)
    return sum(_look_at(context, context.crms[name], links) for links in same.values())


def _look_at(context: Context, crm: Crm, links: Sequence[Link]) -> bool:
    """One undertaking (all identities of a customer are one). Whether it is there twice."""
    link, ledger = links[0], context.ledger
    try:
        found = _present(crm, link)
    except RetryLater:
        raise
    except OrderwireError as error:
        log.warning("a doubtful creation could not be looked at", key=link.key, detail=error.detail)
        ledger.links.checked(links, again=AGAIN)
        return False
    if found.double:
        ledger.alerts.open(condition(link, [*found.records, *found.others]))
    else:
        ledger.alerts.close(_cause(link), f"There is only one in {link.target} now.")
    kept = found.records[0] if found.records else None
    if kept is not None and (kept.id != link.remote_id or found.refs.items() - link.refs.items()):
        ledger.links.point(link, kept.id, number=kept.number, refs={**link.refs, **found.refs})
        log.warning("a link points to the oldest record now", key=link.key, was=link.remote_id, now=kept.id)
    again = found.double or link.checks == 0
    ledger.links.checked(links[:1], again=AGAIN if again else None)
    ledger.links.checked(links[1:], again=None)
    return found.double


def _external_id(link: Link) -> str:
    """Under which name the records of this link are found."""
    if link.kind == "customer":
        return link.refs.get("own_id") or external_id("customer", link.key)
    key = Key.parse(link.key)
    return external_id(key.connection, link.kind, key.id)


def _present(crm: Crm, link: Link) -> Present:
    if link.kind == "customer":
        return _customer(crm, link)
    if link.kind == REQUEST:
        return Present(_activities(crm, link))
    find = crm.find_invoice if link.kind in {"invoice", CREDIT} else crm.find_order
    return Present(find(_external_id(link)))


def _activities(crm: Crm, link: Link) -> Sequence[Ref]:
    """What a customer asked for, on the accounts on which it may be."""
    if not isinstance(crm, Noting) or link.created_at is None:
        return []
    return crm.find_request(CustomerNote(_external_id(link), "", "", link.created_at), accounts_of(link))


def accounts_of(link: Link, *others: str) -> list[str]:
    """Where the activity of a request's link may be: these accounts, and those that were noted with the intent."""
    noted = [link.refs.get("account", ""), *link.refs.get("before", "").split(",")]
    return [one for one in dict.fromkeys([*others, *noted]) if one]


def _customer(crm: Crm, link: Link) -> Present:
    found = crm.find_customer(Probe(external_id=_external_id(link)))
    ids = {kind: [party.id for party in found if party.kind == kind] for kind in ("account", "contact")}
    accounts = _with_linked(crm, "account", ids["account"], link.remote_id)
    contacts = _with_linked(crm, "contact", ids["contact"], link.refs.get("contact", ""))
    refs = {"account": accounts[0]} | ({"contact": contacts[0]} if contacts else {})
    return Present([Ref(id) for id in accounts], refs, [Ref(id) for id in contacts[1:]])


def _with_linked(crm: Crm, kind: Literal["account", "contact"], found: list[str], linked: str) -> list[str]:
    """Those that carry our external id, after the one that is linked where it is another's: a customer who was matched
    while ours was late is the one to keep.
    """
    if not found or not linked or linked in found:
        return found or [linked]
    there = crm.get_party(kind, linked)
    return found if there is None or there.deleted else [linked, *found]


def _cause(link: Link) -> str:
    return f"double:{link.target}:{link.kind}:{link.key}"[:200]


def condition(link: Link, records: Sequence[Ref]) -> Condition:
    """The alert for records that are one and the same (pure); the first is kept."""
    names = [ref.number or ref.id for ref in records]
    others = ", ".join(names[1:])
    mend = f"merge {others} into {names[0]}" if link.kind == "customer" else f"delete {others}"
    return Condition(
        _cause(link),
        f"The {link.kind} {link.key} is in {link.target} {len(names)} times",
        f"{link.target} has {names[0]} and {others} for the {link.kind} {link.key}: the answer to a creation came later than "
        f"we waited for it. {names[0]}, the oldest, is used. What to do: {mend} there; if this happens again, raise `hold` "
        f"of the connection {link.target}.",
        severity="critical",
        facts={"connection": link.target, "kind": link.kind, "key": link.key, "records": names},
    )
