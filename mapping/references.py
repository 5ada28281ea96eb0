"""Order numbers in what people typed: which words of a field can be the number of an order. Pure.

`1017` is found in `#1017`, `PO 1017`, `Web-1017` and `Order 1017, Müller`; not in `10170`, `INV-1017`, `030 1017-22`,
`17.10.2017`, `1017,00 EUR` or `1017 x`. A number counts only where it stands as a whole word.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Words that people put before an order's number; anything else before the hyphen makes it a number of another system.
_MARKS: Final = (
    "#|№|order|orders|ord|web|webshop|weborder|shop|onlineshop|online|po|no|nr|num|nummer|number|bestellung|best|"
    "bestellnr|bestellnummer|auftrag|ordine|commande|pedido|заказ|заказа|номер|wc|ref|our ref|your ref"
)
_MARKED: Final = re.compile(rf"(?<![^\W_])(?:{_MARKS})[\s.:#№_/-]*$")
_PREFIXED: Final = re.compile(rf"(?:{_MARKS})[-._/]?(\d+)")
_WORD: Final = re.compile(r"[^\W_]+(?:[-./_][^\W_]+)*")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_DIGIT: Final = re.compile(r"\d")
_MONEY: Final = "eur|usd|chf|gbp|rub|руб|euro|€|\\$|£|₽"
_NOISE: Final = re.compile(
    "|".join(
        (
            r"(?:tel|fon|fone|phone|telefon|mobil|mobile|mob|fax|call|тел|факс)[\s.:№-]*\+?\d[\d\s()/.-]{4,}",
            r"\+\d[\d\s()/.-]{6,}\d",
            r"(?<!\w)\(?0\d{1,5}\)?[\s/-]\d[\d\s/-]{2,}\d",
            r"(?<!\w)0\d{8,}(?!\w)",
            r"(?<![\w-])\d{2,}(?:[\s/-]\d{2,}){2,}(?!\w)",
            r"(?<!\d)\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})(?!\d)",
            r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)",
            r"(?<!\d)\d{1,2}:\d{2}(?!\d)",
            r"(?<![\w.,])\d{1,3}(?:[.,']\d{3})*[.,]\d{2}(?![\w.,])|(?<![\w.,])\d+[.,]\d{1,2}(?![\w.,]\w)(?!\w)",
            rf"(?:{_MONEY})\s*\d[\d.,']*|(?<!\w)\d[\d.,']*\s*(?:{_MONEY})(?!\w)",
            r"(?<!\w)\d+\s*(?:%|(?:x|pcs|pieces|stk|stück|шт|kg|cm|mm|uhr)(?!\w))",
        )
    )
)
_SHORTEST: Final = 3
"""An unmarked number of fewer digits is a quantity, a floor or a day."""


def fold_reference(text: str) -> str:
    """One reference on its own, for comparison: `# PO-4500 ` -> `po-4500`; "" where it has no digit."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip("#№.:,; ")
    return folded if _DIGIT.search(folded) else ""


def references(text: str) -> frozenset[str]:
    """Every word of a free text (a subject) that can be an order's number, folded."""
    if not _DIGIT.search(text):
        return frozenset()
    clean = _NOISE.sub(" ; ", unicodedata.normalize("NFKC", text).casefold())
    found: set[str] = set()
    for match in _WORD.finditer(clean):
        word = match.group()
        prefixed = _PREFIXED.fullmatch(word)
        if prefixed:
            found |= {word, prefixed.group(1)}
        elif _DIGIT.search(word) and (
            _tells(word) or _MARKED.search(clean[max(0, match.start() - 24) : match.start()])
        ):
            found.add(word)
    return frozenset(found)


def field_references(text: str) -> frozenset[str]:
    """The same for a field made for a number: its whole content counts as well, blanks or not."""
    whole = fold_reference(text)
    if not whole:
        return frozenset()
    return references(text) | {whole, whole.replace(" ", "")}


def _tells(word: str) -> bool:
    """Whether an unmarked word is enough: years and very short numbers are not."""
    return len(word) >= _SHORTEST and not _YEAR.fullmatch(word)


def slip(wanted: str, typed: str) -> str:
    """How `typed` differs from `wanted` by one slip of the fingers, in words; "" where it is equal or differs by more.
    Short numbers are too close to each other: from four characters on.
    """
    if wanted == typed or min(len(wanted), len(typed)) < _SHORTEST or max(len(wanted), len(typed)) <= _SHORTEST:
        return ""
    if len(wanted) == len(typed):
        apart = [place for place, (a, b) in enumerate(zip(wanted, typed, strict=True)) if a != b]
        if len(apart) == 1:
            return "differs in one character"
        first = apart[0]
        swapped = (
            len(apart) == 2 and apart[1] == first + 1 and wanted[first : first + 2] == typed[first : first + 2][::-1]
        )
        return "has two characters swapped" if swapped else ""
    longer, shorter = (wanted, typed) if len(wanted) > len(typed) else (typed, wanted)
    if len(longer) - len(shorter) > 1 or not any(longer[:n] + longer[n + 1 :] == shorter for n in range(len(longer))):
        return ""
    return "has one character too few" if longer is wanted else "has one character too many"
