"""Every field that was sent, compared with the answer: vtiger says success whatever it did.

It drops unknown fields, keeps owners and picklist words that do not exist, empties references to missing records, cuts
long texts, and loses lines when two orders are created at a time. What to do about a difference stands in `FIELDS`,
`LINE` and `DEFAULT`: `warn` (the record is usable), `hold` (a person must look), `repair` (write once more, then look).
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final, Literal

from connectors.roles import Difference
from core.money import decimals, show
from mapping.vtiger import Cut

Fix = Literal["warn", "hold", "repair"]
SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A field that did not come back as it was sent."""

    field: str
    sent: str
    got: str
    fix: Fix
    message: str
    missing: bool = False

    def difference(self, *, repaired: bool = False) -> Difference:
        """For the pipeline: what could not be repaired is held."""
        action: Literal["repaired", "warn", "hold"] = "warn" if self.fix == "warn" else "hold"
        return Difference(
            self.field, self.sent, self.got, "repaired" if repaired else action, self.message, self.missing
        )


def _number(value: str) -> Decimal | None:
    try:
        return Decimal(value or "0")
    except InvalidOperation:
        return None


def same_number(sent: str, got: str) -> bool:
    """Equal as numbers; "" is nought."""
    left, right = _number(sent), _number(got)
    return left is not None and left == right


def same_text(sent: str, got: str) -> bool:
    """Equal for a reader: vtiger decodes entities and changes line ends."""
    return sent == got or _plain(sent) == _plain(got)


def _plain(text: str) -> str:
    return html.unescape(text).replace("\r\n", "\n").replace("\r", "\n").strip()


def same_exactly(sent: str, got: str) -> bool:
    """Equal, as ids and words of a picklist must be."""
    return sent == got


def plainly(same: Callable[[str, str], bool], value: str) -> str:
    """A text that is equal for values that are the same by this way of comparing."""
    if same is same_number:
        number = _number(value)
        return value if number is None else f"{number.normalize() + 0:f}"
    return _plain(value) if same is same_text else value


@dataclass(frozen=True, slots=True)
class Rule:
    """How a field is compared, what a change means, and what it means when the answer lacks the field."""

    same: Callable[[str, str], bool]
    changed: Fix
    absent: Fix
    why: str


OWNER: Final = Rule(
    same_exactly, "hold", "hold", "vtiger did not take the owner: it keeps owners that do not exist. "
    "What to do: put the right id into the owners table of the connection and correct the record in vtiger."
)  # fmt: skip
REFERENCE: Final = Rule(
    same_exactly, "hold", "hold", "vtiger did not keep the reference: the record it points to is missing there. "
    "What to do: see whether it was deleted or merged in vtiger, then retry."
)  # fmt: skip
WORD: Final = Rule(
    same_exactly, "hold", "hold", "vtiger changed a picklist's word. What to do: check the tables of the configuration."
)  # fmt: skip
KEY: Final = Rule(
    same_exactly, "hold", "hold", "vtiger did not keep the external id, by which the record is found again. "
    "What to do: run `orderwire check`, it prints how to add the field; then delete the record in vtiger and retry."
)  # fmt: skip
NUMBER: Final = Rule(
    same_number, "repair", "hold", "vtiger changed a number. What to do: compare the record in vtiger with the order."
)  # fmt: skip
MODE: Final = Rule(
    same_exactly, "repair", "hold", "vtiger did not keep the tax mode. What to do: compare the totals in vtiger."
)  # fmt: skip
DEFAULT: Final = Rule(
    same_text, "warn", "hold", "vtiger keeps another text (usually cut to the field's length). "
    "What to do: complete it in vtiger if it matters; a field that vtiger does not have at all must be added there."
)  # fmt: skip

FIELDS: Final[dict[str, Rule]] = {
    "assigned_user_id": OWNER,
    "account_id": REFERENCE,
    "contact_id": REFERENCE,
    "related_to": REFERENCE,
    "salesorder_id": REFERENCE,
    "currency_id": REFERENCE,
    "sostatus": WORD,
    "invoicestatus": WORD,
    "carrier": WORD,
    "leadsource": Rule(same_exactly, "warn", "warn", "vtiger changed the lead source. What to do: check lead_source."),
    "hdnTaxType": MODE,
    "txtAdjustment": NUMBER,
    "conversion_rate": NUMBER,
    "shipping_&_handling": NUMBER,
    "received": Rule(
        same_number, "warn", "warn", "vtiger changed what was paid of the invoice. What to do: correct it there."
    ),
}
NOT_COMPARED: Final = frozenset({"id", "productid", "LineItems"})
"""productid comes back null from create (seen on the wire); lines have their own table."""

LINE: Final[dict[str, Rule]] = {
    "productid": Rule(same_exactly, "repair", "repair", "the line's product is another one"),
    "quantity": Rule(same_number, "repair", "repair", "the line's quantity is another one"),
    "listprice": Rule(same_number, "repair", "repair", "the line's price is another one"),
    "discount_amount": Rule(same_number, "repair", "repair", "the line's discount is another one"),
    "comment": Rule(same_text, "warn", "warn", "the line's text is another one"),
}
TAX_LINE: Final = Rule(same_number, "repair", "repair", "the line's tax is another one")
LINE_ADVICE: Final = "What to do: compare the lines in vtiger with the order, then retry."


def rule_of(field: str, key_fields: frozenset[str]) -> Rule:
    """The rule of a header field. `key_fields`: how the external id is called here."""
    if field in key_fields:
        return KEY
    if field.startswith("shipping_&_handling"):
        return NUMBER
    return FIELDS.get(field, DEFAULT)


def compare_fields(
    sent: Mapping[str, Any], answer: Mapping[str, Any], key_fields: frozenset[str], ignore: frozenset[str] = frozenset()
) -> list[Mismatch]:
    """Every header field of `sent` against the answer."""
    found = []
    for name, value in sent.items():
        if name in NOT_COMPARED or name in ignore:
            continue
        got = answer.get(name)
        if got == value:
            continue
        rule = rule_of(name, key_fields)
        if name not in answer:
            if value:
                found.append(Mismatch(name, shown(value), "(no such field)", rule.absent, rule.why))
        elif not rule.same(_text(value), _text(got)):
            missing = rule is REFERENCE and not _text(got)
            found.append(Mismatch(name, shown(value), shown(got), rule.changed, rule.why, missing))
    return found


def compare_lines(sent: Sequence[Mapping[str, str]], answer: Mapping[str, Any]) -> list[Mismatch]:
    """The lines that arrived against those that were sent, in their order."""
    raw = answer.get("LineItems")
    got = sorted((line for line in raw if isinstance(line, dict)), key=sequence) if isinstance(raw, list) else []
    if len(got) != len(sent):
        message = (
            f"vtiger kept {len(got)} of {len(sent)} lines: it loses lines when several orders are written at a time. "
        )
        return [Mismatch("LineItems", f"{len(sent)} lines", f"{len(got)} lines", "repair", message + LINE_ADVICE)]
    found = []
    for number, (ours, theirs) in enumerate(zip(sent, got, strict=True), 1):
        for name in {**ours, "discount_amount": ""}:
            value, kept = ours.get(name, ""), _text(theirs.get(name))
            rule = LINE.get(name, TAX_LINE)
            if value != kept and not rule.same(value, kept):
                message = f"Line {number}: {rule.why}. {LINE_ADVICE}"
                found.append(Mismatch(f"line {number} {name}", shown(value), shown(kept), rule.changed, message))
    return found


def compare_total(total: Decimal, currency: str, answer: Mapping[str, Any]) -> list[Mismatch]:
    """The grand total, exactly at the currency's decimals; vtiger does not round (7061.749999999999).

    A store may keep more decimals than its currency has (yen with cents, in the recorded orders): then at the total's own.
    """
    got = _number(_text(answer.get("hdnGrandTotal")))
    places = max(decimals(currency), -int(total.normalize().as_tuple().exponent))
    if got is not None and got.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP) == total:
        return []
    kept = f"{got:.{places + 2}f} {currency}" if got is not None else _text(answer.get("hdnGrandTotal"))
    message = (
        "vtiger computes another total than the store. What to do: compare the order's lines and taxes in vtiger with "
        "the store's; a product without its tax configured is the usual reason."
    )
    return [Mismatch("hdnGrandTotal", show(total, currency), kept, "repair", message)]


def cut_differences(cuts: Sequence[Cut]) -> tuple[Difference, ...]:
    """A warning for each text that lost characters before it was sent."""
    message = "Characters that vtiger cannot keep (emoji, for instance) were taken out. What to do: nothing."
    return tuple(Difference(cut.field, shown(cut.before), shown(cut.after), "warn", message) for cut in cuts)


def foreign_account(key: str, sent: Mapping[str, Any], got: Mapping[str, Any]) -> Difference:
    """Lead conversion takes an existing account of exactly the same name instead of making ours."""
    message = (
        "vtiger put the contact to an existing account of the same name instead of a new one. What to do: look whether "
        "they are one customer; if not, rename one account in vtiger and move the contact, then retry."
    )
    return Difference(key, shown(sent.get(key)), shown(got.get(key)), "hold", message)


def sequence(line: Mapping[str, Any]) -> int:
    """Where a line stands."""
    text = _text(line.get("sequence_no"))
    return int(text) if text.isascii() and text.isdigit() else 0


def _text(value: object) -> str:
    return "" if value is None else str(value)


def shown(value: object) -> str:
    """For people, not too long."""
    text = _text(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
