"""How alike is a customer of the store (or a row of the ERP) to the accounts and contacts of the CRM? Pure.

`mapping.matching` answers the daily question by rules in an order; this module answers the one of the first day, when
stores, ERP and CRM have lived apart for years: every candidate with a score, its reasons and what contradicts it.
Certain are only those whom a strong identity names (customer number, VAT number, e-mail; or name and phone together), whom
nothing contradicts, and whom nobody rivals. A name that is merely similar makes a candidate for a person to judge, never a
link. `doubles` names accounts that are one company twice:
they are reported, never merged, and a customer of such a group is a person's decision.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

from core.keys import Key
from mapping.alike import SIMILAR, Measure, Names, nearest
from mapping.canonical import Customer, Person
from mapping.doubles import SHARED, Doubles, Group, by_kind, doubles, doubles_of, groups_of
from mapping.identity import EntryKind, MatchKind, customer_entries, fold_company, fold_postal_code
from mapping.matching import REASONS, Candidate

__all__ = ["Doubles", "Likeness", "LikenessRules", "Parties", "Resemblance", "doubles", "erp_customer"]

Grade = Literal["certain", "doubtful", "none"]
_STRONGEST: Final[tuple[MatchKind, ...]] = ("erp_number", "vat")
_OWN_DOMAIN: Final = 3
"""A mail domain that more accounts have is a provider's, not a company's."""
_PUBLIC: Final = frozenset(
    f"{name}.{top}"
    for name, tops in {
        "gmail": "com",
        "googlemail": "com",
        "gmx": "de net at ch com",
        "web": "de",
        "outlook": "com de",
        "hotmail": "com de",
        "live": "com de",
        "yahoo": "com de",
        "icloud": "com",
        "me": "com",
        "aol": "com",
        "freenet": "de",
        "t-online": "de",
        "posteo": "de",
        "mailbox": "org",
        "proton": "me",
        "mail": "ru",
        "yandex": "ru",
        "libero": "it",
        "orange": "fr",
        "free": "fr",
        "qq": "com",
    }.items()
    for top in tops.split()
)
"""Providers of mail for everybody."""
_CONTRADICTIONS: Final[dict[MatchKind, str]] = {
    "erp_number": "customer number is {theirs}, not {ours}",
    "vat": "VAT number is {theirs}, not {ours}",
    "company": "company is called {theirs}",
}


@dataclass(frozen=True, slots=True)
class LikenessRules:
    """Points for what is the same, off for what contradicts; the sum is kept within 0-100."""

    erp_number: int = 70
    vat: int = 70
    email: int = 60
    phone: int = 30
    domain: int = 35
    company: int = 35
    similar_name: int = 20
    postal_code: int = 10
    other_number: int = -40
    """A customer number or VAT number that differs. It also forbids certain, whatever the score."""
    other_company: int = -15
    certain_from: int = 60
    doubtful_from: int = 20
    margin: int = 20
    """A second candidate within so many points makes both doubtful."""
    similar_from: float = SIMILAR
    """How alike two folded names must be (0-1) to be called similar."""
    most: int = 10


@dataclass(frozen=True, slots=True)
class Resemblance:
    """A candidate: an account with its contacts, or (`account` "") a contact of nobody. Score 0-100."""

    account: str
    contact: str
    """The one contact there with the customer's e-mail address; "" where none or several have."""
    score: int
    reasons: tuple[str, ...]
    against: tuple[str, ...] = ()
    strong: bool = False
    """A customer number, VAT number or e-mail address is the same."""
    sound: bool = False
    """Good enough for certain, were there no other."""

    @property
    def name(self) -> str:
        """`account/11x8`, or `contact/12x9`."""
        return f"account/{self.account}" if self.account else f"contact/{self.contact}"


@dataclass(frozen=True, slots=True)
class Likeness:
    """The verdict on one customer, best candidate first (at most `rules.most`)."""

    grade: Grade
    candidates: tuple[Resemblance, ...] = ()
    note: str = ""

    @property
    def found(self) -> Resemblance | None:
        """Whom it certainly is."""
        return self.candidates[0] if self.grade == "certain" else None

    @property
    def accounts(self) -> frozenset[str]:
        """Every account that the customer may be."""
        return frozenset(one.account for one in self.candidates if one.account)


def erp_customer(
    connection: str, number: str, *, name: str, vat: str = "", email: str = "", phone: str = ""
) -> Customer:
    """A row of the ERP's list of customers, in the common language."""
    return Customer(
        key=Key(connection, "customer", number),
        company=name,
        person=Person(email=email, phone=phone),
        vat_number=vat,
        erp_number=number,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A customer, folded. `names`: of the company, or of the person where there is none."""

    values: Mapping[MatchKind, frozenset[str]]
    names: frozenset[str]
    measures: tuple[Measure, ...]
    domains: frozenset[str]
    postal_code: str
    company: bool

    @classmethod
    def of(cls, customer: Customer, region: str, least: float) -> Self:
        values = by_kind(customer_entries(customer, region))
        names = values.get("company", frozenset())
        if not names:
            person = fold_company(customer.person.full_name)
            names = frozenset({person} if " " in person else ())  # a first name alone is everybody's
        measures = tuple(Measure(name, least) for name in sorted(names))
        code = fold_postal_code(customer.billing.postal_code)
        domains = _domains(values.get("email", frozenset()))
        return cls(values, names, measures, domains, code, "company" in values)


class Parties:
    """Everybody in the CRM, indexed once; then asked customer by customer."""

    def __init__(
        self,
        parties: Iterable[Candidate],
        *,
        region: str = "",
        postal_codes: Mapping[str, str] | None = None,
        rules: LikenessRules | None = None,
    ) -> None:
        self.rules = rules or LikenessRules()
        self.region = region
        self.postal_codes = {account: fold_postal_code(code) for account, code in (postal_codes or {}).items()}
        self.groups = groups_of(parties)
        self.doubles = doubles_of(self.groups, self.postal_codes)
        self._twins = {account: one.accounts for one in self.doubles for account in one.accounts}
        self._by_account = {group.account: place for place, group in enumerate(self.groups) if group.account}
        self._by_entry: dict[tuple[EntryKind, str], list[int]] = defaultdict(list)
        for place, group in enumerate(self.groups):
            for kind, values in group.values.items():
                for value in values:
                    self._by_entry[kind, value].append(place)
        self._by_domain: dict[str, list[int]] = defaultdict(list)
        for place, group in enumerate(self.groups):
            for domain in _domains(group.of("email")):
                self._by_domain[domain].append(place)
        for domain in [domain for domain, places in self._by_domain.items() if len(places) > _OWN_DOMAIN]:
            del self._by_domain[domain]
        self._names = Names(group.of("company") for group in self.groups)
        self._similar: dict[str, list[int]] = {}

    def like(self, customer: Customer) -> Likeness:
        """Who this is: certain, doubtful (all candidates) or none."""
        asked = _Asked.of(customer, self.region, self.rules.similar_from)
        places = self._places(asked)
        scored = [self._score(self.groups[place], asked) for place in sorted(places)]
        if not any(one.sound for one in scored):  # who is merely called alike is no rival of somebody sound
            scored += [self._score(self.groups[place], asked) for place in sorted(self._called_alike(asked) - places)]
        return self._judge(self._with_twins([one for one in scored if one.score >= self.rules.doubtful_from], asked))

    def _places(self, asked: _Asked) -> set[int]:
        places: set[int] = set()
        for kind, values in {**asked.values, "company": asked.names}.items():
            for value in values:
                found = self._by_entry.get((kind, value), [])
                if len(found) <= SHARED or kind in _STRONGEST:
                    places.update(found)
        for domain in asked.domains:
            places.update(self._by_domain.get(domain, ()))
        return places

    def _called_alike(self, asked: _Asked) -> set[int]:
        for measure in asked.measures:
            if measure.name not in self._similar:
                self._similar[measure.name] = self._names.similar(measure)
        return {place for measure in asked.measures for place in self._similar[measure.name]}

    def _with_twins(self, found: list[Resemblance], asked: _Asked) -> list[Resemblance]:
        """Of doubles all are candidates, also those that share nothing with the customer themselves."""
        have = {one.account for one in found}
        for one in list(found):
            for twin in self._twins.get(one.account, ()):
                if twin not in have:
                    have.add(twin)
                    own = self._score(self.groups[self._by_account[twin]], asked)
                    reasons = (*own.reasons, f"looks like a double of {one.account}")
                    found.append(Resemblance(twin, own.contact, own.score, reasons, own.against, own.strong))
        return sorted(found, key=lambda one: (-one.score, one.name))

    def _judge(self, found: list[Resemblance]) -> Likeness:
        if not found:
            return Likeness("none")
        best, kept = found[0], tuple(found[: self.rules.most])
        if best.account in self._twins:
            return Likeness("doubtful", kept, "the account is in the CRM more than once")
        if not best.sound:
            return Likeness("doubtful", kept)
        if any(other.strong or other.sound or other.score > best.score - self.rules.margin for other in found[1:]):
            return Likeness("doubtful", kept, "another comes as near")
        return Likeness("certain", (best,))

    def _own_domains(self, group: Group) -> frozenset[str]:
        return frozenset(domain for domain in _domains(group.of("email")) if domain in self._by_domain)

    def _score(self, group: Group, asked: _Asked) -> Resemblance:
        rules = self.rules
        named = {**asked.values, "company": asked.names}
        same = {kind for kind, values in named.items() if values & group.of(kind)}
        points = sum(int(getattr(rules, kind)) for kind in same)
        reasons = [_reason(kind, asked) for kind in REASONS if kind in same]
        if "email" not in same and asked.domains & self._own_domains(group):
            points += rules.domain
            reasons.append("same domain of the e-mail address")
        alike = "company" in same
        if not alike and (near := nearest(asked.measures, group.of("company"))):
            alike = True
            points += rules.similar_name
            reasons.append(f"similar name: {near}")
        if alike and asked.postal_code and asked.postal_code == self.postal_codes.get(group.account):
            points += rules.postal_code
            reasons.append("same postal code")
        against: list[str] = []
        for kind, told in _CONTRADICTIONS.items():
            ours, theirs = asked.values.get(kind, frozenset()), group.of(kind)
            if ours and theirs and kind not in same and not (kind == "company" and alike):
                points += rules.other_company if kind == "company" else rules.other_number
                against.append(told.format(ours=", ".join(sorted(ours)), theirs=", ".join(sorted(theirs))))
        # What other weak signs add up to is a person's to judge.
        strong = bool(same & {"erp_number", "vat", "email"})
        sound = (strong or same >= {"company", "phone"}) and not against and points >= rules.certain_from
        score = max(0, min(100, points))
        contact = _contact(group, asked.values)
        return Resemblance(group.account, contact, score, tuple(reasons), tuple(against), strong, sound)


def _domains(emails: Iterable[str]) -> frozenset[str]:
    """The companies' own domains."""
    return frozenset(email.rpartition("@")[2] for email in emails) - _PUBLIC


def _reason(kind: MatchKind, asked: _Asked) -> str:
    return "account is called like the person" if kind == "company" and not asked.company else REASONS[kind]


def _contact(group: Group, wanted: Mapping[MatchKind, frozenset[str]]) -> str:
    if not group.account:
        return group.members[0].id
    emails = wanted.get("email", frozenset())
    same = {
        one.id for one in group.members if one.kind == "contact" and emails & by_kind(one.entries).get("email", set())
    }
    return same.pop() if len(same) == 1 else ""
