"""From the subject of a token to the card that is shown: one indexed read for a customer number, some more for a store's user."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from pydantic import ValidationError

from core.settings import FlowSettings, PortalSettings
from ledger.links import Link
from ledger.parties import Entry
from mapping.cards import Card, CardRep
from mapping.identity import fold_erp
from pipelines.customers import KIND

log = structlog.get_logger(__name__)
USER: Final = re.compile(r"([a-z][a-z0-9_-]{0,31})/user/([A-Za-z0-9_.@-]{1,80})")
"""`shop/user/55`: the user 55 of the store connection `shop`."""


class Kept(Protocol):
    """A card as the ledger keeps it."""

    @property
    def card(self) -> str:
        """`Card` as JSON; "" for none."""
        ...


class Cards(Protocol):
    """`ledger.reps`."""

    def card(self, source: str, customer: str) -> Kept | None:
        """One indexed read."""
        ...


class Links(Protocol):
    """`ledger.links`."""

    def get(self, target: str, kind: str, key: str) -> Link | None: ...

    def of_remote(self, target: str, kind: str, remote_ids: list[str]) -> dict[str, list[Link]]: ...


class Parties(Protocol):
    """`ledger.parties`."""

    def of(self, connection: str, remote_ids: list[str]) -> list[Entry]: ...


@dataclass(frozen=True, slots=True)
class Whose:
    """Finds cards. Nothing here tells whether a customer exists: who is unknown and who has nobody are shown the same."""

    cards: Cards
    links: Links
    parties: Parties
    flows: Mapping[str, FlowSettings]
    team: Callable[[str], Card]
    """The card of the default team of an ERP connection's directory."""

    def number(self, portal: PortalSettings, subject: str) -> str:
        """The customer number that a token's subject stands for; "" for a user of the store of whom none is known."""
        user = USER.fullmatch(subject) if portal.store else None
        if user is None or user[1] != portal.store:
            return subject
        targets = dict.fromkeys(flow.target for flow in self.flows.values() if flow.source == portal.store)
        found = {number for target in targets for number in self._numbers(target, portal.store, user[2])}
        # Of two customers, none: a user is shown no card that may be somebody else's.
        return found.pop() if len(found) == 1 else ""

    def card(self, portal: PortalSettings, number: str) -> Card:
        """What is shown to the customer of this number; with "" the team's."""
        kept = self._kept(portal.source, number) if number else None
        if kept is None or not kept.reps:
            kept = self.team(portal.source)
        if not kept.reps:
            kept = Card(customer="", reps=(team_of(portal),), team=True)
        return kept.model_copy(update={"customer": number})

    def _kept(self, source: str, number: str) -> Card | None:
        stored = self.cards.card(source, number)
        if stored is None or not stored.card:
            return None
        try:
            return Card.model_validate_json(stored.card)
        except ValidationError as error:  # its texts are not logged
            log.error("a kept card cannot be read, the team is shown", source=source, faults=error.error_count())  # noqa: TRY400
            return None

    def _numbers(self, target: str, store: str, user: str) -> set[str]:
        """Customer numbers of the account to which this user is linked: as orders brought them, and as the CRM has them."""
        link = self.links.get(target, KIND, f"store/{store}/customer/{user}")
        account = link.refs.get("account", "") if link is not None and link.linked else ""
        if link is None or not account:
            return set()
        same = self.links.of_remote(target, KIND, [link.remote_id]).get(link.remote_id, [])
        linked = {one.key.removeprefix("erp/") for one in same if one.linked and one.key.startswith("erp/")}
        known = {
            entry.value
            for entry in self.parties.of(target, [account])
            if (entry.match_kind, entry.party_kind, entry.remote_id) == ("erp_number", "account", account)
        }
        # The CRM's own word counts: an order's customer number is what somebody typed into a shop.
        return known or {fold_erp(number) for number in linked}


def team_of(portal: PortalSettings) -> CardRep:
    """The configured team, as somebody on a card."""
    team = portal.team
    return CardRep(name=team.name, title=team.title, email=team.email, phone=team.phone, roles=("team",))
