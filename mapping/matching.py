"""Who is this customer in the CRM? Rules in the configured order, over candidates that the caller looked up. Pure.

The caller collects candidates by `mapping.identity.customer_entries`: every account and contact of the party index that
shares one of those entries, each with *all* its entries (and, for a contact, those of its account as a candidate of its
own), because a VAT number that differs overrules a company name that agrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self, cast

from mapping.canonical import Customer, Party
from mapping.identity import EntryKind, MatchKind, customer_entries, index_entries

REASONS: Final[dict[MatchKind, str]] = {
    "erp_number": "same customer number",
    "vat": "same VAT number",
    "email": "same e-mail address",
    "phone": "same phone number",
    "company": "same company name",
}
# Two companies may share a switchboard or a name: these rules give way to a stronger identity that differs.
_OVERRULED_BY: Final[dict[MatchKind, tuple[MatchKind, ...]]] = {
    "phone": ("vat", "erp_number"),
    "company": ("vat", "erp_number"),
}


class IndexRow(Protocol):
    """One row of the party index, as far as matching reads it."""

    @property
    def match_kind(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def party_kind(self) -> str: ...
    @property
    def remote_id(self) -> str: ...
    @property
    def account_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account or contact of the CRM with its folded identities. `account`: the account's own id, or the one that a
    contact belongs to ("" for a contact of nobody).
    """

    kind: Literal["account", "contact"]
    id: str
    account: str
    entries: frozenset[tuple[EntryKind, str]]

    @classmethod
    def of(cls, party: Party, region: str = "") -> Self:
        """From what the CRM tells about it."""
        account = party.id if party.kind == "account" else party.account_id
        return cls(party.kind, party.id, account, frozenset(index_entries(party, region)))

    @classmethod
    def gather(cls, rows: Iterable[IndexRow]) -> list[Self]:
        """From rows of the party index, one row an identity."""
        entries: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
        for row in rows:
            account = row.remote_id if row.party_kind == "account" else row.account_id
            entries.setdefault((row.party_kind, row.remote_id, account), set()).add((row.match_kind, row.value))
        return [
            cls(
                cast("Literal['account', 'contact']", kind),
                id,
                account,
                cast("frozenset[tuple[EntryKind, str]]", frozenset(own)),
            )
            for (kind, id, account), own in entries.items()
        ]


@dataclass(frozen=True, slots=True)
class Match:
    """What the rules found: one (`found`), several (`is_ambiguous`), or nobody (neither)."""

    account: str = ""
    contact: str = ""
    """The one contact there who has the customer's e-mail address; "" where none or several have."""
    rule: MatchKind | Literal[""] = ""
    """The rule that decided."""
    reason: str = ""
    """For people: "same e-mail address"."""
    ambiguous: tuple[str, ...] = ()
    """Accounts (`account/11x8`; a contact of nobody `contact/12x9`) between which the deciding rule cannot choose."""
    overruled: tuple[str, ...] = ()
    """Accounts that a weak rule named and a differing VAT or customer number ruled out."""

    @property
    def found(self) -> bool:
        """Somebody, and only one."""
        return bool(self.account or self.contact)

    @property
    def is_ambiguous(self) -> bool:
        """A person must choose."""
        return bool(self.ambiguous)


@dataclass(frozen=True, slots=True)
class _Group:
    """One account with its contacts among the candidates, or a contact of nobody."""

    name: str
    members: tuple[Candidate, ...]
    entries: frozenset[tuple[EntryKind, str]]

    def values(self, kind: MatchKind) -> frozenset[str]:
        return _values(self.entries, kind)


def _values(entries: Iterable[tuple[EntryKind, str]], kind: MatchKind) -> frozenset[str]:
    return frozenset(value for entry_kind, value in entries if entry_kind == kind)


def _groups(candidates: Sequence[Candidate]) -> list[_Group]:
    members: dict[str, dict[Candidate, None]] = {}
    for candidate in candidates:
        name = f"account/{candidate.account}" if candidate.account else f"{candidate.kind}/{candidate.id}"
        members.setdefault(name, {})[candidate] = None
    return [
        _Group(name, tuple(group), frozenset(entry for candidate in group for entry in candidate.entries))
        for name, group in sorted(members.items())
    ]


def _contradicts(group: _Group, wanted: Sequence[tuple[MatchKind, str]], rule: MatchKind) -> bool:
    """Both sides tell a VAT (or customer) number, and no number is on both sides."""
    for kind in _OVERRULED_BY.get(rule, ()):
        ours, theirs = _values(wanted, kind), group.values(kind)
        if ours and theirs and not ours & theirs:
            return True
    return False


def rank(customer: Customer, candidates: Sequence[Candidate], rules: Sequence[MatchKind], region: str = "") -> Match:
    """The first rule that hits decides, and stronger rules come first in `rules`. One account: a match with its reason.
    Several: an ambiguous match, which is held for a person (a weaker rule must not choose between them). The result
    does not depend on the order of `candidates`.
    """
    wanted = customer_entries(customer, region)
    groups = _groups(candidates)
    overruled: dict[str, None] = {}
    for rule in rules:
        ours = _values(wanted, rule)
        hits = [group for group in groups if ours & group.values(rule)]
        against = [group for group in hits if _contradicts(group, wanted, rule)]
        overruled |= dict.fromkeys(group.name for group in against)
        hits = [group for group in hits if group not in against]
        if len(hits) > 1:
            names = tuple(group.name for group in hits)
            return Match(rule=rule, reason=REASONS[rule], ambiguous=names, overruled=tuple(overruled))
        if hits:
            return _matched(hits[0], wanted, rule, tuple(overruled))
    return Match(overruled=tuple(overruled))


def _matched(
    group: _Group, wanted: Sequence[tuple[MatchKind, str]], rule: MatchKind, overruled: tuple[str, ...]
) -> Match:
    kind, _, identifier = group.name.partition("/")
    account = identifier if kind == "account" else ""
    contact = "" if account else identifier
    emails = _values(wanted, "email")
    same = sorted({c.id for c in group.members if c.kind == "contact" and emails & _values(c.entries, "email")})
    if account and len(same) == 1:
        contact = same[0]
    return Match(account=account, contact=contact, rule=rule, reason=REASONS[rule], overruled=overruled)
