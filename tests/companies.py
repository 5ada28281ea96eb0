"""Made-up companies, and the many ways in which people write their names and numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stdnum.iso7064 import mod_11_10


@dataclass(slots=True)
class Firm:
    """A company as it really is. `accounts`: handles of its accounts in the CRM; none: it is new."""

    name: str
    first: str
    last: str
    email: str
    phone: str
    vat: str
    street: str
    city: str
    code: str
    customer: int
    accounts: list[str] = field(default_factory=list)
    known_by_mail: bool = False
    billing: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)


STEMS = "Alb Bern Cor Dorn Eich Falk Grün Hart Ilm Jung Kron Lind Möll Nord Ober Pfau Quell Rhein Süd Tann Ulm Vogt Wald Zorn"
ENDS = "bach berg brück dorf feld hof kamp mann mühl roth stein tal weiler wig"
TRADES = (
    "Druckerei Bürobedarf Metallbau Gartencenter Logistik Elektro Möbel Verlag Optik Spedition Consulting Bäckerei Baustoffe "
    "Papier Werkzeuge Textil Sanitär Medien Energie Holzbau"
)
FORMS = ("GmbH", "GmbH & Co. KG", "AG", "KG", "e.K.", "OHG")
FIRST = "Jörg Anna Ulrike Peter Björn Sabine Käthe Max Irina Tom Lena Günter Paul Eva Rolf Ida"
CITIES = (("Berlin", "10"), ("Köln", "50"), ("Hamburg", "20"), ("München", "80"), ("Jena", "07"), ("Mainz", "55"))
CYRILLIC = {
    "a": "а",
    "b": "б",
    "e": "е",
    "k": "к",
    "l": "л",
    "m": "м",
    "n": "н",
    "o": "о",
    "r": "р",
    "s": "с",
    "t": "т",
}
CYRILLIC |= {"d": "д", "f": "ф", "g": "г", "i": "и", "p": "п", "u": "у", "v": "в"}


def vat_number(number: int) -> str:
    digits = f"{100_000_00 + number * 37:08d}"
    return f"DE{digits}{mod_11_10.calc_check_digit(digits)}"


ASCII = str.maketrans("üöä", "uoa")
_TWO_LETTERS = {ord("ü"): "ue", ord("ö"): "oe", ord("ä"): "ae"}
SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    str.upper,
    lambda name: name.translate(_TWO_LETTERS),
    lambda name: name.replace(" & ", " und "),
    lambda name: name.replace("GmbH", "Gesellschaft mbH"),
    lambda name: f"Firma {name}",
    lambda name: name.rsplit(" ", 1)[0] if " " in name else name,
)
SLOPPY: tuple[Callable[[str], str], ...] = (
    lambda name: name[:3] + name[4:],
    lambda name: " ".join(reversed(name.split()[:2])),
    lambda name: f"{name} Niederlassung Ost",
)
PHONES: tuple[Callable[[str], str], ...] = (
    lambda phone: phone,
    lambda phone: phone.replace("+49 ", "0"),
    lambda phone: phone.replace("+49 30 ", "(030) "),
    lambda phone: phone.replace("+49", "0049"),
    lambda phone: phone.replace("+49 30 ", "030 / "),
)
VATS: tuple[Callable[[str], str], ...] = (
    lambda vat: vat,
    lambda vat: f"{vat[:2]} {vat[2:5]} {vat[5:8]} {vat[8:]}",
    str.lower,
    lambda vat: f"USt-IdNr. {vat}",
)


def company(number: int, dice: random.Random) -> Firm:
    stem = dice.choice(STEMS.split()) + dice.choice(ENDS.split())
    name = f"{stem} {dice.choice(TRADES.split())} {dice.choice(FORMS)}"
    city, code = dice.choice(CITIES)
    domain = f"{stem.lower().translate(ASCII)}{number}.example"
    first, last = dice.choice(FIRST.split()), dice.choice(STEMS.split()) + dice.choice(("er", "mann", "s"))
    return Firm(
        name=name,
        first=first,
        last=last,
        email=f"{dice.choice(('einkauf', 'office', 'info'))}@{domain}",
        phone=f"+49 30 {20_000_000 + number * 1931}",
        vat=vat_number(number),
        street=f"{dice.choice(STEMS.split())}weg {dice.randrange(1, 200)}",
        city=city,
        code=f"{code}{dice.randrange(100, 999)}",
        customer=number,
    )
