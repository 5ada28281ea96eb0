"""Accounts that are one company twice in the CRM. Pure. They are reported, never merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from mapping.alike import SIMILAR, Measure, nearest
from mapping.identity import EntryKind, fold_postal_code
from mapping.matching import Candidate

Kind = TypeVar("Kind", bound=EntryKind)
SHARED: Final = 200
"""An address or name that more accounts have is nobody's."""


@dataclass(frozen=True, slots=True)
class Doubles:
    """Accounts that are one company twice or more: ids, and why."""

    accounts: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """An account with its contacts, or a contact of nobody, all their identities together."""

    account: str
    members: tuple[Candidate, ...]
    values: Mapping[EntryKind, frozenset[str]]

    def of(self, kind: EntryKind) -> frozenset[str]:
        return self.values.get(kind, frozenset())


def doubles(parties: Iterable[Candidate], postal_codes: Mapping[str, str] | None = None) -> list[Doubles]:
    """Accounts of the CRM that are doubles: same VAT number, customer number or e-mail address, or the same (or similar)
    name with the same phone number or postal code (`postal_codes` by account). Two that tell different VAT numbers are none.
    """
    return doubles_of(groups_of(parties), postal_codes or {})


def doubles_of(groups: Iterable[Group], postal_codes: Mapping[str, str]) -> list[Doubles]:
    """The same, of parties that are grouped already."""
    return _Doubles([group for group in groups if group.account], postal_codes).found()


def by_kind(entries: Iterable[tuple[Kind, str]]) -> dict[Kind, frozenset[str]]:
    """Folded values by kind of identity."""
    found: dict[Kind, set[str]] = {}
    for kind, value in entries:
        found.setdefault(kind, set()).add(value)
    return {kind: frozenset(values) for kind, values in found.items()}


def groups_of(parties: Iterable[Candidate]) -> list[Group]:
    """Accounts, each with its contacts, and contacts of nobody; by name."""
    members: dict[str, dict[Candidate, None]] = {}
    for party in parties:
        name = f"account/{party.account}" if party.account else f"{party.kind}/{party.id}"
        members.setdefault(name, {})[party] = None
    return [
        Group(
            group_members[0].account,
            group_members,
            by_kind(entry for member in group_members for entry in member.entries),
        )
        for _, group_members in sorted((name, tuple(group)) for name, group in members.items())
    ]


class _Doubles:
    def __init__(self, groups: list[Group], postal_codes: Mapping[str, str]) -> None:
        self.groups = groups
        self.postal_codes = {account: fold_postal_code(code) for account, code in postal_codes.items()}
        self.leader = list(range(len(groups)))
        self.numbers = [group.of("vat") for group in groups]
        self.reasons: dict[int, dict[str, None]] = defaultdict(dict)

    def found(self) -> list[Doubles]:
        for reason, keys in (
            ("same VAT number", lambda group: group.of("vat")),
            ("same customer number", lambda group: group.of("erp_number")),
            ("same e-mail address", lambda group: group.of("email")),
            ("same name and phone number", lambda group: self._paired(group, group.of("phone"))),
            ("same name and postal code", lambda group: self._paired(group, self._code(group))),
        ):
            for key, places in self._sharing(keys):
                self._join(places, f"{reason}: {key}", weak=reason.startswith("same name"))
        self._similar("same phone number", lambda group: group.of("phone"))
        self._similar("same postal code", self._code)
        together: dict[int, list[int]] = defaultdict(list)
        for place in range(len(self.groups)):
            together[self._lead(place)].append(place)
        return [
            Doubles(tuple(sorted(self.groups[place].account for place in places)), tuple(self.reasons[lead]))
            for lead, places in sorted(together.items())
            if len(places) > 1
        ]

    def _similar(self, reason: str, keys: Callable[[Group], frozenset[str]]) -> None:
        """What is shared by strangers as well counts where the names are alike too."""
        for key, places in self._sharing(keys):
            for number, first in enumerate(places):
                names = self.groups[first].of("company")
                measures = [Measure(name, SIMILAR) for name in sorted(names)]
                for second in places[number + 1 :]:
                    others = self.groups[second].of("company")
                    if not names & others and nearest(measures, others):
                        self._join([first, second], f"similar name and {reason}: {key}", weak=True)

    def _sharing(self, keys: Callable[[Group], frozenset[str]]) -> Iterator[tuple[str, list[int]]]:
        """Each key that some groups share, and few enough of them to say something, with their places."""
        table: dict[str, list[int]] = defaultdict(list)
        for place, group in enumerate(self.groups):
            for key in sorted(keys(group)):
                table[key].append(place)
        return ((key, places) for key, places in sorted(table.items()) if 1 < len(places) <= SHARED)

    def _code(self, group: Group) -> frozenset[str]:
        code = self.postal_codes.get(group.account, "")
        return frozenset({code} if code else ())

    def _paired(self, group: Group, values: frozenset[str]) -> frozenset[str]:
        return frozenset(f"{name}, {value}" for name in group.of("company") for value in values)

    def _lead(self, place: int) -> int:
        while self.leader[place] != place:
            self.leader[place] = self.leader[self.leader[place]]
            place = self.leader[place]
        return place

    def _join(self, places: list[int], reason: str, *, weak: bool) -> None:
        """Each with each, but nobody who tells a VAT number with one who tells another."""
        for number, first in enumerate(places):
            for second in places[number + 1 :]:
                a, b = sorted((self._lead(first), self._lead(second)))
                if not self._may_be_one(a, b, first, second, weak=weak):
                    continue
                if a != b:
                    self.leader[b] = a
                    self.numbers[a] |= self.numbers[b]
                    self.reasons[a] |= self.reasons.pop(b, {})
                self.reasons[a][reason] = None

    def _may_be_one(self, a: int, b: int, first: int, second: int, *, weak: bool) -> bool:
        ours, theirs = self.numbers[a], self.numbers[b]
        if ours and theirs and not ours & theirs:
            return False
        mine, other = self.groups[first].of("erp_number"), self.groups[second].of("erp_number")
        return not (weak and mine and other and not mine & other)
