"""Which orders of the store are in the CRM already, typed by hand or by an older bridge? Pure.

Each order of the store is graded: *certain* (linked by itself), *doubtful* (a person decides) or *none*. Precision comes
before recall for certain: a wrong link sends a customer's changes into somebody else's order.

certain     it carries our external id; or the order's number (or purchase-order number) stands there as a whole word,
            at least two of account, total and date agree, nothing contradicts, and no other order comes near.
doubtful    less than that, but enough to ask: a slip in the number, no number at all, something that contradicts.

One order of the CRM is never certain for two of the store, and one that carries another order's external id is nobody's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, Generic, Literal, Protocol, TypeVar

from core.money import DECIMALS, round_to
from mapping.identity import fold_erp
from mapping.references import field_references, fold_reference, references, slip

Grade = Literal["certain", "doubtful", "none"]
ReferenceField = Literal["purchase_order", "subject", "customer_number"]

WORDS: Final[dict[ReferenceField, str]] = {
    "purchase_order": "purchase-order number is",
    "subject": "subject names",
    "customer_number": "customer-number field is",
}
_CROWD: Final = 200
"""A number that stands on more orders names none of them; of more with the same account and total, only those of the
time are looked at.
"""


class CrmOrder(Protocol):
    """An order as the CRM has it: the fields of connectors.roles.CrmOrderRow that grading reads."""

    @property
    def ref(self) -> object: ...
    @property
    def external_id(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def purchase_order(self) -> str: ...
    @property
    def customer_number(self) -> str: ...
    @property
    def account_id(self) -> str: ...
    @property
    def total(self) -> Decimal: ...
    @property
    def currency(self) -> str: ...
    @property
    def placed(self) -> date | None: ...
    @property
    def created(self) -> datetime: ...


Row = TypeVar("Row", bound=CrmOrder)


@dataclass(frozen=True, slots=True)
class StoreOrder:
    """An order of the store. `accounts`: those in the CRM that its customer may be; empty: not known."""

    key: str
    number: str
    external_id: str
    purchase_order: str
    customer_number: str
    accounts: frozenset[str]
    total: Decimal
    currency: str
    placed: date


@dataclass(frozen=True, slots=True)
class AdoptRules:
    """How to grade. The scores of what agrees add up to 100; what contradicts takes off."""

    references: tuple[ReferenceField, ...] = ("purchase_order", "subject", "customer_number")
    """Fields of the CRM in which people may have typed the order's number."""
    days: int = 7
    """How far apart the two dates may be, either way."""
    tolerance: Decimal = Decimal(0)
    """How far apart the totals may be, after rounding both to the currency's decimals."""
    reference: int = 40
    near_reference: int = 20
    account: int = 25
    total: int = 20
    date: int = 15
    other_account: int = -20
    other_total: int = -15
    other_date: int = -15
    doubtful_from: int = 35
    margin: int = 10
    """A second candidate within so many points makes both doubtful."""
    most: int = 10
    """Candidates kept for a person to choose from."""


@dataclass(frozen=True, slots=True)
class AdoptCandidate(Generic[Row]):
    """An order of the CRM that may be the store's. `score` 0-100; `reasons` for it, `against` it, in words."""

    order: Row
    score: int
    reasons: tuple[str, ...]
    against: tuple[str, ...] = ()
    sound: bool = False
    """Good enough for certain, were there no other."""


@dataclass(frozen=True, slots=True)
class Adoption(Generic[Row]):
    """The verdict on one order of the store, best candidate first (at most `rules.most`)."""

    key: str
    grade: Grade
    candidates: tuple[AdoptCandidate[Row], ...] = ()
    note: str = ""
    """Why it is not certain, where the candidates do not tell: a double, or another that comes near."""

    @property
    def order(self) -> Row | None:
        """The CRM's order that it certainly is."""
        return self.candidates[0].order if self.grade == "certain" else None


@dataclass(slots=True)
class _Typed(Generic[Row]):
    """An order of the CRM, read once."""

    row: Row
    name: str
    total: Decimal
    day: date
    words: dict[ReferenceField, frozenset[str]]
    all_words: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.all_words = frozenset[str]().union(*self.words.values())

    def forget(self, word: str) -> None:
        """It is no reference after all."""
        self.words = {name: words - {word} for name, words in self.words.items()}


def grade(
    orders: Sequence[StoreOrder], existing: Iterable[Row], rules: AdoptRules | None = None
) -> list[Adoption[Row]]:
    """One verdict an order of the store, in their order. `existing`: all orders of the CRM of that time and a little
    around it. The result does not depend on the order of either. Time grows with the orders that share a number, or
    account and total, or total and date; not with orders x existing.
    """
    return _Grading(orders, existing, rules or AdoptRules()).verdicts()


class _Grading(Generic[Row]):
    def __init__(self, orders: Sequence[StoreOrder], existing: Iterable[Row], rules: AdoptRules) -> None:
        self.rules = rules
        self.orders = orders
        self.numbers = {fold_reference(order.number) for order in orders} - {""}
        self.by_external_id: dict[str, list[Row]] = defaultdict(list)
        self.index = _Index[Row](rules)
        for row in existing:
            if row.external_id:
                self.by_external_id[row.external_id].append(row)
            else:
                self.index.add(_read(row, rules))
        self.index.close()

    def verdicts(self) -> list[Adoption[Row]]:
        found = [self._own(order) or self._ranked(order) for order in self.orders]
        claims: dict[str, list[tuple[int, AdoptCandidate[Row]]]] = defaultdict(list)
        for place, verdict in enumerate(found):
            for candidate in verdict.candidates:
                claims[str(candidate.order.ref)].append((place, candidate))
        found = [self._settled(verdict, place, claims) for place, verdict in enumerate(found)]
        taken = {str(verdict.order.ref) for verdict in found if verdict.order is not None}
        return [self._cut(_without(verdict, taken)) for verdict in found]

    def _own(self, order: StoreOrder) -> Adoption[Row] | None:
        """By our own external id, whatever else agrees or not."""
        rows = sorted(self.by_external_id.get(order.external_id, ()), key=lambda row: str(row.ref))
        if not order.external_id or not rows:
            return None
        candidates = tuple(AdoptCandidate(row, 100, ("it carries our external id",), sound=True) for row in rows)
        if len(rows) == 1:
            return Adoption(order.key, "certain", candidates)
        note = f"{len(rows)} orders carry our external id: all but one are doubles"
        return Adoption(order.key, "doubtful", candidates, note)

    def _ranked(self, order: StoreOrder) -> Adoption[Row]:
        own = _own_references(order)
        graded = (self._compare(order, own, typed) for typed in self.index.near(order, own))
        candidates = sorted(
            (one for one in graded if one.score >= self.rules.doubtful_from),
            key=lambda one: (-one.score, one.order.created, str(one.order.ref)),
        )
        return Adoption(order.key, "doubtful" if candidates else "none", tuple(candidates))

    def _settled(
        self, verdict: Adoption[Row], place: int, claims: dict[str, list[tuple[int, AdoptCandidate[Row]]]]
    ) -> Adoption[Row]:
        """Certain, if the best candidate is sound and nobody comes near: neither another order of the CRM for this one
        of the store, nor another of the store for that one.
        """
        if not verdict.candidates or not verdict.candidates[0].sound or verdict.note:
            return verdict
        best = verdict.candidates[0]
        others = [*verdict.candidates[1:]]
        others += [candidate for at, candidate in claims[str(best.order.ref)] if at != place]
        if any(other.sound or other.score > best.score - self.rules.margin for other in others):
            return Adoption(verdict.key, "doubtful", verdict.candidates, "another order comes as near")
        return Adoption(verdict.key, "certain", verdict.candidates)

    def _cut(self, verdict: Adoption[Row]) -> Adoption[Row]:
        return Adoption(verdict.key, verdict.grade, verdict.candidates[: self.rules.most], verdict.note)

    # -- one pair --------------------------------------------------------------------------------------------------

    def _compare(self, order: StoreOrder, own: dict[str, str], typed: _Typed[Row]) -> AdoptCandidate[Row]:
        rules = self.rules
        pro: list[str] = []
        contra: list[str] = []
        equal, near = self._reference(own, typed)
        pro += [text for text in (equal or near,) if text]
        points = rules.reference if equal else rules.near_reference if near else 0
        agreed = 0
        for (says, text), (plus, minus) in zip(
            (_account(order, typed), _total(order, typed, rules), _day(order, typed, rules)),
            ((rules.account, rules.other_account), (rules.total, rules.other_total), (rules.date, rules.other_date)),
            strict=True,
        ):
            agreed += says is True
            points += plus if says else minus if says is False else 0
            if text:
                (pro if says else contra).append(text)
        contradicted = self._names_another(order, own, typed) if equal else ""
        contra += [contradicted] if contradicted else []
        sound = bool(equal) and agreed >= 2 and not contra
        return AdoptCandidate(typed.row, max(0, min(100, points)), tuple(pro), tuple(contra), sound)

    def _reference(self, own: dict[str, str], typed: _Typed[Row]) -> tuple[str, str]:
        """How one of our references stands there: (equal, or "", with one slip, or "")."""
        near = ""
        for name in self.rules.references:
            for reference, shown in own.items():
                if reference in typed.words[name]:
                    return f"{WORDS[name]} {shown}", ""
                if not near and name != "customer_number":
                    slips = (slip(reference, word) for word in sorted(typed.words[name]))
                    how = next((text for text in slips if text), "")
                    near = f"number {how} ({WORDS[name].rsplit(' ', 1)[0]}, {shown})" if how else ""
        return "", near

    def _names_another(self, order: StoreOrder, own: dict[str, str], typed: _Typed[Row]) -> str:
        """What stands beside our number and speaks for another order."""
        for name in ("purchase_order", "subject"):
            for word in sorted(typed.words.get(name, frozenset()) - own.keys()):
                if word in self.numbers:
                    return f"it names order {word} as well"
                if name == "purchase_order" and any(slip(reference, word) for reference in own):
                    return f"purchase-order number is {word}"
        theirs = fold_reference(typed.row.purchase_order)
        ours = fold_reference(order.purchase_order)
        if ours and theirs and not own.keys() & field_references(typed.row.purchase_order):
            return f"purchase-order number is {typed.row.purchase_order.strip()}, not {order.purchase_order.strip()}"
        return ""


def _without(verdict: Adoption[Row], taken: set[str]) -> Adoption[Row]:
    """Orders of the CRM that certainly are another's are no candidates any more."""
    if verdict.grade == "certain":
        return Adoption(verdict.key, "certain", verdict.candidates[:1])
    left = tuple(one for one in verdict.candidates if str(one.order.ref) not in taken)
    return Adoption(verdict.key, "doubtful" if left else "none", left, verdict.note if left else "")


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(row: Row, rules: AdoptRules) -> _Typed[Row]:
    words: dict[ReferenceField, frozenset[str]] = {}
    for name in rules.references:
        text: str = getattr(row, name)
        words[name] = references(text) if name == "subject" else field_references(text)
    return _Typed(row, str(row.ref), _rounded(row.total, row.currency), row.placed or row.created.date(), words)


def _rounded(amount: Decimal, currency: str) -> Decimal:
    """CRMs keep totals unrounded (vtiger: eight decimals); people and stores see the rounded ones. NaN (not known): what
    was told is no number, or none that an order can have.
    """
    try:
        return round_to(amount, currency if currency in DECIMALS else "EUR")
    except InvalidOperation:
        return Decimal("NaN")


def _own_references(order: StoreOrder) -> dict[str, str]:
    """Folded -> as shown. A purchase-order number of two characters, or without a digit ("by phone"), names nothing."""
    found = {fold_reference(order.number): order.number.strip()}
    theirs = fold_reference(order.purchase_order)
    if len(theirs) > 2:
        found |= {folded: order.purchase_order.strip() for folded in (theirs, theirs.replace(" ", ""))}
    found.pop("", None)
    return found


def _account(order: StoreOrder, typed: _Typed[Row]) -> tuple[bool | None, str]:
    ours, theirs = fold_erp(order.customer_number), fold_erp(typed.row.customer_number)
    if typed.row.account_id and typed.row.account_id in order.accounts:
        return True, "account is the same"
    if order.accounts and typed.row.account_id:
        return False, "account is another"
    return (True, f"customer number is {theirs}") if ours and ours == theirs else (None, "")


def _total(order: StoreOrder, typed: _Typed[Row], rules: AdoptRules) -> tuple[bool | None, str]:
    if order.currency and typed.row.currency and order.currency != typed.row.currency:
        return False, f"currency is {typed.row.currency}"
    ours = _rounded(order.total, order.currency)
    if not (typed.total.is_finite() and ours.is_finite()):
        return None, ""
    apart = abs(typed.total - ours)
    if apart > rules.tolerance:
        return False, f"total is {typed.total} instead of {ours}"
    return True, f"total differs by {apart}" if apart else "total is equal"


def _day(order: StoreOrder, typed: _Typed[Row], rules: AdoptRules) -> tuple[bool | None, str]:
    """An order is often typed long after it was placed (then its creation says nothing), never long before."""
    days = (typed.day - order.placed).days
    told = typed.row.placed is not None
    verb = "placed" if told else "typed in"
    if abs(days) > rules.days:
        if days > 0 and not told:
            return None, ""
        return False, f"{verb} {abs(days)} days {'later' if days > 0 else 'before'}"
    if not days:
        return True, f"{verb} on the same day"
    return True, f"{verb} {abs(days)} day{'s' if abs(days) > 1 else ''} apart"


# -- finding -----------------------------------------------------------------------------------------------------------


class _Index(Generic[Row]):
    """Orders of the CRM by reference, by account and total, by day and total."""

    def __init__(self, rules: AdoptRules) -> None:
        self.rules = rules
        self.by_word: dict[str, list[_Typed[Row]]] = defaultdict(list)
        self.by_account: dict[str, list[_Typed[Row]]] = defaultdict(list)
        self.by_day: dict[date, list[_Typed[Row]]] = defaultdict(list)

    def add(self, typed: _Typed[Row]) -> None:
        for word in typed.all_words:
            self.by_word[word].append(typed)
        if typed.total.is_finite():
            self.by_account[typed.row.account_id].append(typed)
            self.by_day[typed.day].append(typed)

    def close(self) -> None:
        """Once all are in: forget what names a crowd, and sort by total."""
        for word in [word for word, rows in self.by_word.items() if len(rows) > _CROWD]:
            for typed in self.by_word.pop(word):
                typed.forget(word)
        for table in (*self.by_account.values(), *self.by_day.values()):
            table.sort(key=_by_total)

    def near(self, order: StoreOrder, own: Iterable[str]) -> list[_Typed[Row]]:
        """Every order of the CRM that can reach `doubtful_from`."""
        total = _rounded(order.total, order.currency)
        hits: dict[str, _Typed[Row]] = {}
        for reference in own:
            hits |= {one.name: one for one in self.by_word.get(reference, ())}
        for account in order.accounts:
            same = self._with_total(self.by_account.get(account, []), total)
            hits |= {one.name: one for one in same if len(same) <= _CROWD}
        for apart in range(-self.rules.days, self.rules.days + 1):
            same = self._with_total(self.by_day.get(order.placed + timedelta(days=apart), []), total)
            if len(same) > _CROWD:
                same = [one for one in same if one.row.account_id in order.accounts][:_CROWD]
            hits |= {one.name: one for one in same}
        return list(hits.values())

    def _with_total(self, rows: list[_Typed[Row]], total: Decimal) -> list[_Typed[Row]]:
        if not total.is_finite():
            return []  # NaN has no order: comparing it raises
        low = bisect_left(rows, total - self.rules.tolerance, key=_by_total)
        return rows[low : bisect_right(rows, total + self.rules.tolerance, key=_by_total)]


def _by_total(typed: _Typed[Row]) -> Decimal:
    return typed.total
