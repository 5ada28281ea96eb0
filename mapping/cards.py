"""What a customer is shown of who serves them: only released fields, and never why. Pure.

    card = card_of(resolve(directory, customer, day), directory, customer, day)
    shown(card)          # the JSON of the portal, version 1 (docs/portal.md)

A `Card` is made once, when directory, assignments or the date change, and kept as `card.model_dump_json()`, from which
`Card.model_validate_json` makes it again. What it holds may leave the house, with the exception of `code` and `agency`, which
`shown` leaves out: they are for systems that know reps by code (KommerceServer).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator

from core.visible import in_one_line
from mapping.canonical import Absence, Canonical, ErpCustomer
from mapping.canonical.base import Key
from mapping.reps import PRIMARY, Directory, Resolution, Served, resolve

VERSION: Final = 1
"""Of the JSON shape. Fields may be added within a version; one that goes or changes its meaning makes a new one."""
MOST: Final = 20
"""Reps on one card; an ERP that lists more lists a department."""
LONGEST: Final = 200
"""Characters of a text on a card."""
ROLE_WORDS: Final[Mapping[str, str]] = {
    PRIMARY: "Your contact",
    "service": "Service",
    "inside": "Inside sales",
    "field": "Field sales",
    "support": "Support",
    "accounting": "Accounting",
    "team": "Your contacts",
}
"""What a role is called to customers, where the rep has no title of their own. A role that is not here is called as it is."""


def _line(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONGEST and text.isprintable() else in_one_line(text)[:LONGEST].strip()


_PHOTO: Final = re.compile(r"https://[^\s\"'<>\\`\x00-\x20\x7f]{1,500}")
_TAG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}")


def _photo(address: str) -> str:
    return address if _PHOTO.fullmatch(address) and len(address) <= 500 else ""


def _tags(languages: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for tag in languages if _TAG.fullmatch(tag)))[:10]


Line = Annotated[str, AfterValidator(_line)]
"""Text that is safe to show: in one line, nothing in it acts, not too long."""


class CardRep(Canonical):
    """One person (or the team) on the card. Whatever it is made of, every text of it is safe to show."""

    name: Line
    roles: tuple[Line, ...] = ()
    """primary, service, inside, field ...: what they are for this customer."""
    title: Line = ""
    """What they call themselves to customers; "": the words of the role."""
    email: Line = ""
    phone: Line = ""
    mobile: Line = ""
    photo: Annotated[str, AfterValidator(_photo)] = ""
    """An https address; "" for none."""
    languages: Annotated[tuple[str, ...], AfterValidator(_tags)] = ()
    """BCP 47 tags, the best first."""
    partner: bool = False
    """They are of an outside agency, whose name is in `firm` where it has one."""
    firm: Line = ""
    stands_in_for: Line = ""
    """Who is away and expected back, in whose place this is; "": nobody. Who has left is not named."""
    away_until: date | None = None
    """The last day on which that one is away."""
    code: Line = ""
    """As the ERP knows them; never shown to customers."""
    agency: Line = ""
    """Code of their agency; never shown to customers."""

    @property
    def tel(self) -> str:
        """`tel:` of the phone; "" where there is none that can be dialled."""
        return tel_of(self.phone)

    @property
    def mobile_tel(self) -> str:
        """The same of the mobile."""
        return tel_of(self.mobile)

    def mailto(self, subject: str = "") -> str:
        """`mailto:` with this subject; "" where there is no address."""
        return mailto_of(self.email, subject)


class Card(Canonical):
    """Who serves a customer on a day."""

    customer: Line
    """The customer number; "": nobody's card, that of the team."""
    name: Line = ""
    """What the customer is called. For the own people's eyes; customers know it, so `shown` leaves it out."""
    reps: tuple[CardRep, ...] = ()
    """The nearest first. Empty: nobody at all is assigned, and whoever shows the card shows their own team."""
    team: bool = False
    """Nobody nearer than the default team serves."""


def card_of(resolution: Resolution, directory: Directory, customer: ErpCustomer, day: date) -> Card:
    """What this customer may know of a resolution for this day."""
    found: dict[tuple[str, str, str], CardRep] = {}
    for served in resolution.reps:
        one = _shown_rep(served, directory, day)
        mark = (one.agency, one.code, one.stands_in_for)
        if mark in found:
            found[mark] = found[mark].model_copy(update={"roles": (*found[mark].roles, *one.roles)})
        else:
            found[mark] = one
    team = not resolution.reps or resolution.reps[0].level == "team"
    return Card(
        customer=_line(customer.number), name=_line(customer.name), reps=tuple(found.values())[:MOST], team=team
    )


def team_card(directory: Directory, day: date) -> Card:
    """What somebody is shown of whom no customer is known: the default team."""
    nobody = ErpCustomer(key=Key("", "customer", ""))
    return card_of(resolve(directory, nobody, day), directory, nobody, day)


def shown(card: Card, *, customer: str | None = None, subject: str = "") -> dict[str, Any]:
    """The JSON shape that leaves the house. `customer`: for whom, if the card itself does not say so (the team's)."""
    number = card.customer if customer is None else _line(customer)
    return {
        "version": VERSION,
        "customer": number,
        "team": card.team,
        "reps": [_shown_json(one, subject or subject_of(number)) for one in card.reps],
    }


def subject_of(customer: str) -> str:
    """The subject of a mail from the card: `Customer 10017`; "" where no number is known."""
    return f"Customer {customer}" if customer else ""


def role_words(one: CardRep, words: Mapping[str, str] = ROLE_WORDS) -> str:
    """What they are, in words: their title, or the words of their roles."""
    return one.title or ", ".join(words.get(role, role) for role in one.roles)


_EXTENSION: Final = re.compile(r"\s*(?:ext\.?|x|durchwahl|int\.?|;ext=)\s*(\d{1,7})\s*$", re.IGNORECASE)
_DIALLED: Final = re.compile(r"\+?[\d\s()./\-\N{NO-BREAK SPACE}\N{NON-BREAKING HYPHEN}\N{EN DASH}]+", re.ASCII)


def tel_of(phone: str) -> str:
    """`+49 (0)30 123-45 ext. 6` -> `tel:+493012345;ext=6`; "" for what is no number of 3 to 18 digits."""
    text = phone.strip()
    extension = _EXTENSION.search(text)
    if extension:
        text = text[: extension.start()]
    if not _DIALLED.fullmatch(text):
        return ""
    if text.startswith("+"):
        # (0) is how people write the zero that is only dialled at home.
        text = text.replace("(0)", "")
    digits = re.sub(r"[^0-9]", "", text)
    if not 3 <= len(digits) <= 18:
        return ""
    return f"tel:{'+' if text.startswith('+') else ''}{digits}" + (f";ext={extension[1]}" if extension else "")


_EMAIL: Final = re.compile(
    r"[^\s@<>,;:\"()\[\]\\?&%\x00-\x20\x7f]{1,64}@[^\s@<>,;:\"()\[\]\\?&%/#\x00-\x20\x7f]{1,190}"
)


def mailto_of(email: str, subject: str = "") -> str:
    """`mailto:mia@example.com?subject=Customer%2010017`; "" for what is no address of one person."""
    if not _EMAIL.fullmatch(email):
        return ""
    # Cleaned once more: an address that carried a line end could name further recipients.
    return f"mailto:{_quoted(email)}" + (f"?subject={_quoted(_line(subject))}" if subject else "")


_RESERVED: Final = re.compile(r"[^A-Za-z0-9\-._~@]")
"""RFC 3986, 2.3; @ is as it is in paths and queries."""


def _quoted(text: str) -> str:
    """Percent-encoded UTF-8."""
    return _RESERVED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace")), text)


def _shown_rep(served: Served, directory: Directory, day: date) -> CardRep:
    rep = served.rep
    firm = next((one for one in directory.agencies if one.code == rep.agency), None) if rep.agency else None
    partner = firm is not None and not firm.own
    away = _away(served, directory, day)
    may = rep.released
    return CardRep(
        name=rep.name.strip() or (rep.title if "title" in may else "") or ROLE_WORDS["team"],
        roles=(served.role,),
        title=rep.title if "title" in may else "",
        email=rep.email if "email" in may else "",
        phone=rep.phone if "phone" in may else "",
        mobile=rep.mobile if "mobile" in may else "",
        photo=rep.photo if "photo" in may else "",
        languages=rep.languages if "languages" in may else (),
        partner=partner,
        firm=firm.name if firm is not None and partner else "",
        stands_in_for=away[0] if away else "",
        away_until=away[1] if away else None,
        code=rep.code,
        agency=rep.agency,
    )


def _away(served: Served, directory: Directory, day: date) -> tuple[str, date] | None:
    """Name of who is away and the last day of it; None where nobody is, or where they are not expected back."""
    if not served.stands_in:
        return None
    # A code may stand for a person in each of several agencies: unless it is clear who is away, nobody is named.
    missed = [
        (rep, last)
        for rep in directory.reps
        if rep.code == served.code and (last := _last_day(directory.absences_of(rep), day)) is not None
    ]
    if len(missed) != 1 or not missed[0][0].active or not missed[0][0].name:
        return None
    rep, last = missed[0]
    return rep.name, last


def _last_day(absences: Iterable[Absence], day: date) -> date | None:
    """The last day of an absence that covers `day`, and of those that follow without a day between; None: open."""
    last: date | None = None
    for absence in sorted(absences, key=lambda one: one.first):
        covers = absence.covers(day) if last is None else absence.first <= last + timedelta(days=1)
        if not covers:
            continue
        if absence.last is None or absence.last == date.max:
            return None
        last = max(absence.last, last or absence.last)
    return last


def _shown_json(one: CardRep, subject: str) -> dict[str, Any]:
    return {
        "name": one.name,
        "roles": list(one.roles),
        "title": role_words(one),
        "email": one.email,
        "mailto": one.mailto(subject),
        "phone": one.phone,
        "tel": one.tel,
        "mobile": one.mobile,
        "mobile_tel": one.mobile_tel,
        "photo": one.photo,
        "languages": list(one.languages),
        "partner": one.partner,
        "firm": one.firm,
        "stands_in_for": one.stands_in_for,
        "away_until": one.away_until.isoformat() if one.away_until else "",
    }
