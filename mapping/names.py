"""Folding of names: two spellings of one company or person become the same text. Pure, never shown to people.

Folded text is a key for comparison only. What folds alike is *probably* the same name, so a hit on a company's name is
the weakest of the matching rules, and `mapping.matching` lets a contradiction overrule it.

Transliteration (Cyrillic to Latin) is a reduced form of the common practical systems (BGN/PCGN, GOST 7.79 B, German):
the folded alphabet keeps one spelling where those systems differ, and the Latin spellings are folded to it too:

    ц = ts = tz = c      х = kh = h      щ = shch = sch = sh = ш      ч = tch = tsch = ch      й = ы = y = j = i
    ю = yu = ju = iu     я = ya = ja = ia     кс = ks = x     ё = e     э = e     ъ, ь are dropped

German umlauts and their two-letter spellings lose the e: ü = ue = u, ö = oe = o, ä = ae = a; ß = ss.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

# "letter=Latin" for every letter that accents alone do not explain; a letter without Latin is dropped.
_LETTERS: Final = (
    "а=a б=b в=v г=g д=d е=e ж=zh з=z и=i к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=h ц=c ч=ch ш=sh щ=sh ъ= ы=i ь= "
    "э=e ю=iu я=ia є=e і=i ґ=g ј=i љ=li њ=ni ћ=ch ђ=di џ=dzh ѕ=z ø=o ł=l đ=d ð=d þ=th æ=a œ=o ı=i ħ=h '= ’= ʼ= `= ´= ‘="
)
_TRANSLITERATION: Final = str.maketrans(dict(pair.split("=") for pair in _LETTERS.split()))
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_SPELLINGS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        ("x", "ks"),
        ("tsch|tch", "ch"),
        ("shch|sch", "sh"),
        ("t[sz]", "c"),
        ("kh", "h"),
        ("[yj]", "i"),
        ("i{2,}", "i"),
        ("([aou])e+", r"\1"),
    )
)
_LONGEST_NAME: Final = 200
"""What is longer is not told apart by its end."""
_ALONE: Final = r"(?<=\s)(?:{})(?=\s)"
_CONJUNCTION: Final = re.compile("&|" + _ALONE.format(r"und|and|et|e|и|y|i|og|och|\+"))
_NOT_A_WORD: Final = re.compile(r"[^\w&]+|_+")
_INITIALS: Final = re.compile(r"\b[a-z](?: [a-z]\b)+")


def settle(text: str, step: Callable[[str], str]) -> str:
    """Apply `step` until nothing changes, so that folding what is folded changes nothing. Each step shrinks or rewrites
    towards a smaller alphabet, so the bound is never reached by real text; it is there against surprises of Unicode.
    """
    for _ in range(50):
        folded = step(text)
        if folded == text:
            break
        text = folded
    return text


def _letters(text: str) -> str:
    """Compatibility forms, case, accents and scripts folded; punctuation is left alone."""
    text = unicodedata.normalize("NFKC", text[:_LONGEST_NAME]).casefold()
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", text).translate(_TRANSLITERATION)


def _spelling(text: str) -> str:
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return text


def _words(text: str) -> str:
    """Words, single blanks between them, `&` for every kind of "and", and initials joined (`s. r. l.` -> `srl`)."""
    text = _CONJUNCTION.sub(" & ", text.strip())
    text = " ".join(_NOT_A_WORD.sub(" ", text).split()).strip("& ")
    return _INITIALS.sub(lambda match: match.group().replace(" ", ""), text)


def _step(text: str) -> str:
    return _words(_spelling(_letters(text)))


def fold_text(text: str) -> str:
    """One line of text folded; "" where nothing but punctuation stands in it."""
    return settle(text, _step)


def _forms(names: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(fold_text(name).split()) for name in names.split("|"))


# Both lists are folded by the same function, so they may be written as people write them.
_AT_THE_END: Final = _forms(
    "GmbH|mbH|gGmbH|UG|UG haftungsbeschränkt|KG|KGaA|OHG|AG|eG|e.K.|e.Kfm.|e.V.|GbR|PartG|Gesellschaft mbH|"
    "Aktiengesellschaft|Gesellschaft mit beschränkter Haftung|Kommanditgesellschaft|Co|Cie|Ges.m.b.H.|"
    "Ltd|Limited|LLC|LLP|LP|PLC|Inc|Incorporated|Corp|Corporation|Company|Pty|Pte|Pvt|Private Limited|"
    "Limited Liability Company|Srl|Srls|S.r.l.u.|SpA|Sas|Snc|Sapa|SA|SARL|EURL|SASU|SCI|SCOP|SL|SLU|SAU|Lda|Ltda|"
    "BV|NV|VOF|BVBA|SPRL|CV|AB|AS|ASA|ApS|Oy|Oyj|OÜ|UAB|SIA|sp. z o.o.|s.r.o.|d.o.o.|Kft|Zrt|EOOD|OOD|SE|SCE|"
    "ООО|ЗАО|ОАО|ПАО|АО|НАО|ИП|ТОО|ОсОО|ТОВ|ЧП|ФОП|УП|ОДО|ГУП|МУП"
)
_IN_FRONT: Final = _forms(
    "ООО|ЗАО|ОАО|ПАО|АО|НАО|ОсОО|ТОВ|ФГУП|ГУП|МУП|Общество с ограниченной ответственностью|"
    "Публичное акционерное общество|Закрытое акционерное общество|Открытое акционерное общество|Акционерное общество|"
    "Индивидуальный предприниматель|SARL|EURL|SASU|Srl|UAB|SIA|Firma|Fa.|Messrs"
)
# In Latin letters these are ordinary words or initials ("IP Systems", "Too Good"), so they count in Cyrillic only.
_CYRILLIC_IN_FRONT: Final = re.compile(r"^\W*(?:ип|чп|тоо|фоп|уп|одо)\W+(?=\w)", re.IGNORECASE)
_LONGEST: Final = max(len(form) for form in _AT_THE_END | _IN_FRONT)


def _without_form(words: list[str]) -> list[str]:
    """The words less one legal form, at the end or in front; the same list where there is none or nothing else."""
    for size in range(min(_LONGEST, len(words) - 1), 0, -1):
        if tuple(words[-size:]) in _AT_THE_END:
            rest = words[:-size]
            while len(rest) > 1 and rest[-1] == "&":
                rest = rest[:-1]
            return rest
        if tuple(words[:size]) in _IN_FRONT:
            return words[size:]
    return words


def _company_step(text: str) -> str:
    words = fold_text(_CYRILLIC_IN_FRONT.sub("", text)).split()
    while len(shorter := _without_form(words)) < len(words):
        words = shorter
    return " ".join(words)


def fold_company(text: str) -> str:
    """A company's name without legal form, case, accents, script and punctuation: `Müller & Co KG`, `Mueller und Co.
    KG` and `MULLER` fold alike, so do `ООО Канцторг` and `Kantstorg LLC`. Empty only where the text has no word at all.
    """
    return settle(text, _company_step)


def _person_step(text: str) -> str:
    return " ".join(sorted(_NOT_A_WORD.sub(" ", _spelling(_letters(text))).replace("&", " ").split()))


def fold_person(first: str, last: str) -> str:
    """A person's name, whichever way round it was given: `Jörg`, `Müller` = `MUELLER`, `Joerg`."""
    return settle(f"{first} {last}".strip(), _person_step)
