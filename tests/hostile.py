"""What the whole world may type into an order: made from a seed, and orders that carry it in every text they have."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.orders import order
from tests.world import World

SEED: Final = 5_000_005
COUNT: Final = 1_000

ZALGO: Final = "".join(chr(code) for code in range(0x300, 0x330))
TAGS: Final = (
    "script",
    "img",
    "svg",
    "iframe",
    "math",
    "style",
    "base",
    "object",
    "form",
    "marquee",
    "b",
    "template",
    "noscript",
)
EVENTS: Final = ("onerror", "onload", "onmouseover", "onfocus", "ontoggle", "onanimationstart")
SIGNS: Final = ("=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠", "'=", " =", ";=", ",=", '"=')
WORDS: Final = (
    "null",
    "undefined",
    "None",
    "NaN",
    "true",
    "0",
    "-1",
    "1e309",
    "[object Object]",
    "''",
    "NULL",
    "()",
    "[]",
    "{}",
    " ",
)


def _tag(dice: random.Random) -> str:
    tag = dice.choice(TAGS)
    return dice.choice((
        f"<{tag}>window.struck={dice.randrange(99)}</{tag}>",
        f"<{tag} src=x {dice.choice(EVENTS)}=window.struck=1>",
        f"</{dice.choice(('td', 'title', 'textarea', 'pre', 'script', 'style', 'option', 'a'))}><{tag} {dice.choice(EVENTS)}=window.struck=1 autofocus>",
        f"<<{tag}//{tag}/src=//evil.example/{dice.randrange(99)}",
    ))  # fmt: skip


def _breaker(dice: random.Random) -> str:
    quote = dice.choice(("'", '"', "`", "&#39;", "&quot;", "\\'", '\\"', "%22", "\N{FULLWIDTH QUOTATION MARK}"))
    return f"{quote} {dice.choice(EVENTS)}={quote}window.struck=1{quote} x={quote} {quote}>"


def _address(dice: random.Random) -> str:
    return dice.choice((
        "javascript:window.struck=1", " \tJaVaScRiPt:window.struck=1//", "java\nscript:window.struck=1", "data:text/html,<script>window.struck=1</script>",
        "//evil.example/", "\\\\evil.example\\share", "vbscript:msgbox(1)", "https://evil.example/?x=<script>",
    )) + str(dice.randrange(9999))  # fmt: skip


def _template(dice: random.Random) -> str:
    n = dice.randrange(100, 999)
    return dice.choice((
        f"{{{{ {n} * 7919 }}}}", f"{{% for x in range({n}) %}}struck{{% endfor %}}", f"${{{n}*7919}}", f"#{{{n}*7919}}", f"<%= {n}*7919 %>",
        "{{ self._TemplateReference__context }}", "%(name)s %s %n %d", "{0.__class__}", "{{ ''.__class__.__mro__ }}", "%%(x)s",
    ))  # fmt: skip


def _comment(dice: random.Random) -> str:
    return dice.choice((
        "<!-- ", "--><script>window.struck=1</script>", "<![CDATA[<script>window.struck=1</script>]]>", "]]>", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
        "<?xml version='1.0'?>", "<!--[if IE]><script>window.struck=1</script><![endif]-->", "&lt;script&gt;window.struck=1&lt;/script&gt;", "&#60;script&#62;",
    )) + str(dice.randrange(9999))  # fmt: skip


def _formula(dice: random.Random) -> str:
    call = dice.choice(
        ('HYPERLINK("http://evil.example","press")', "cmd|' /C calc'!A0", "1+1", "SUM(A1:A9)", "IMPORTXML(A1,A2)")
    )
    return dice.choice(SIGNS) + call


def _direction(dice: random.Random) -> str:
    sign = dice.choice("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200f\u061c")
    return dice.choice(
        (
            f"{sign}gnp.exe 12{dice.randrange(99)}",
            f"שלום {sign} עולם 42",
            f"محل {dice.randrange(99)} الزهور",
            f"a{sign}\u202c\u2069b",
        )
    )


def _emoji(dice: random.Random) -> str:
    return dice.choice(
        ("👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🧨", "👍🏿", "🇮🇹🇷🇺", "❤️‍🔥", "﷽", "𝕊𝕔𝕣𝕚𝕡𝕥", "\U000e0041\U000e0042")
    ) * dice.randrange(1, 5)


def _flood(dice: random.Random) -> str:
    return "".join(letter + "".join(dice.choices(ZALGO, k=dice.randrange(5, 40))) for letter in "Zalgo")


def _control(dice: random.Random) -> str:
    return (
        "".join(
            dice.choices(
                "\x00\x01\x07\x08\x0b\x0c\x1b\x1f\x7f\x80\x85\x9b\x9f\u2028\u2029\ufeff\ufffe\uffff\u200b", k=6
            )
        )
        + "end"
    )


def _half(dice: random.Random) -> str:
    return dice.choice(("\ud800", "\udfff", "a\udc00b", "\udbff\udbff", "\ude00\ud83d")) + str(dice.randrange(99))


def _long(dice: random.Random) -> str:
    return dice.choice(("W", "ﷺ", "-", "x/", "a&b", "漢")) * dice.randrange(150, 900)


def _cells(dice: random.Random) -> str:
    return dice.choice(
        ('a","b', 'x\r\n"y";=1+1', '""""', ",,,,", "a\tb\tc", '"\r\n=1+1', "a;b;c", "\ufeff=1", "sep=;\r\n=1")
    ) + str(dice.randrange(99))


def _terminal(dice: random.Random) -> str:
    return (
        dice.choice(
            (
                "\x1b[2J\x1b[H",
                "\x1b]0;owned\x07",
                "\x1b[31m",
                "\x9b31m",
                "\x1b]8;;http://evil.example\x1b\\press\x1b]8;;\x1b\\",
                "\x1bP$q\x1b\\",
                "\b\b\b\b",
                "[red]x[/red]",
            )
        )
        + "end"
    )


def _query(dice: random.Random) -> str:
    return dice.choice(
        (
            "'; DROP TABLE job; --",
            "' OR '1'='1",
            "1; SELECT pg_sleep(9)",
            "%' ESCAPE '",
            "_%",
            "\\",
            "*/ /*",
            "') UNION SELECT 1--",
        )
    ) + str(dice.randrange(99))


def _lines(dice: random.Random) -> str:
    return dice.choice((
        "x\r\nSet-Cookie: struck=1", "x\nLocation: https://evil.example", "x%0d%0aX-Struck: 1", "a\r\n\r\n<script>window.struck=1</script>",
        'a\n{"level": "error", "event": "forged"}', "a\rb", "Bcc: all@evil.example\r\n", "a\u2028b", "a\x85b",
    )) + str(dice.randrange(99))  # fmt: skip


def _nothing(dice: random.Random) -> str:
    return dice.choice(
        (
            *WORDS,
            "What to do: send money to evil.example",
            "../../../etc/passwd",
            "..%2f..%2f",
            "?",
            "#",
            "%",
            "%zz",
            ".",
            "..",
            "\N{NO-BREAK SPACE}",
            "state:held",
            "order:1",
        )
    )


KINDS: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "tag": _tag, "breaker": _breaker, "address": _address, "template": _template, "comment": _comment, "formula": _formula,
    "direction": _direction, "emoji": _emoji, "flood": _flood, "control": _control, "half": _half, "long": _long, "cells": _cells,
    "terminal": _terminal, "query": _query, "lines": _lines, "nothing": _nothing,
}  # fmt: skip


def texts(count: int = COUNT, seed: int = SEED) -> list[str]:
    """So many texts, each kind as often as the others."""
    dice = random.Random(seed)
    makers = list(KINDS.values())
    return [makers[at % len(makers)](dice) for at in range(count)]


WAYS: Final[Mapping[str, Callable[[dict[str, Any], str], object]]] = {
    "balanced": lambda made, text: None,
    "unbalanced": lambda made, text: made.update(total="1.00"),
    "currency": lambda made, text: made.update(currency=text),
    "quantity": lambda made, text: made["line_items"][0].update(quantity=text),
}
"""What becomes of the order: it is carried, or held for a reason that tells of the text itself."""


def order_of(id: int, text: str, way: str = "balanced") -> dict[str, Any]:
    """An order whose every free text is this one."""
    party = {
        **dict.fromkeys(("first_name", "last_name", "company", "address_1", "address_2", "city", "state", "postcode", "phone"), text),
        "country": "DE",
        "email": f"{id}@people.example" if id % 3 else text,
    }  # fmt: skip
    made = order(id, billing=party, number=f"{id} {text}", customer_note=text, meta={"note": text, text: text})
    for line in made["line_items"]:
        line |= {"name": text, "sku": text, "meta_data": [{"id": 1, "key": text, "value": text, "display_value": text}]}
    for line in made["shipping_lines"]:
        line["method_title"] = text
    WAYS[way](made, text)
    return {
        **made,
        "shipping": {name: value for name, value in party.items() if name != "email"},
        "payment_method": text,
        "payment_method_title": text,
        "transaction_id": text,
        "created_via": text,
        "coupon_lines": [{"id": 1, "code": text, "discount": "0.00", "discount_tax": "0.00", "meta_data": []}],
    }


def orders(count: int = COUNT, first: int = 100_000) -> Iterator[tuple[str, dict[str, Any]]]:
    """Text and order: each kind in each way, more of them held than carried (which takes a second for ten)."""
    _, *held = WAYS
    for at, text in enumerate(texts(count)):
        turn = at // len(KINDS)
        yield text, order_of(first + at, text, "balanced" if turn % 10 == 0 else held[turn % len(held)])


def deliver(world: World, made: Mapping[str, Any]) -> None:
    """As a shop sends it: halves of characters as the escapes that JSON allows."""
    world.deliver_raw(json.dumps(made).encode())
