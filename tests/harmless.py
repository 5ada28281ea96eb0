"""Whether a page is what our templates say, whatever people have typed into the orders that it shows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

TEMPLATES: Final = Path(__file__).parents[1] / "web" / "templates"
VOID: Final = frozenset(
    {"meta", "link", "input", "img", "br", "hr", "area", "base", "col", "embed", "source", "track", "wbr"}
)
ADDRESSES: Final = frozenset(
    {"href", "src", "action", "formaction", "hx-get", "hx-post", "xlink:href", "data", "poster", "srcset"}
)
ALONE: Final = frozenset(
    {
        "bdi",
        "a",
        "code",
        "strong",
        "pre",
        "textarea",
        "option",
        "title",
        "ins",
        "del",
        "summary",
        "kbd",
        "button",
        "label",
        "em",
    }
)
"""Elements whose text has its own direction: a right-to-left one turns nothing beside it (app.css, and `bdi` by itself)."""
INLINE: Final = ALONE | {"span", "time", "small", "sub", "sup", "abbr", "b", "i"}
BESIDE: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
ACTING: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Attributes = list[tuple[str, str | None]]


@cache
def vocabulary() -> frozenset[tuple[str, str]]:
    """(element, "") and (element, attribute) of all templates, and of the filters that make `<time>`."""
    reader = _Vocabulary()
    for file in TEMPLATES.rglob("*.html"):
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}", " ", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        # A value of an attribute may hold quotes of its own; the dynamic name of an element is one of these.
        text = re.sub(r"<(/?)\{\{ heading \}\}", r"<\1h2", text)
        text = re.sub(r"<(/?)h\{\{ top \}\}", r"<\1h2", text)
        text = re.sub(r"<(/?)h\{\{ top \+ 1 \}\}", r"<\1h3", text)
        text = re.sub(r"\{\{.*?\}\}", "x", text, flags=re.DOTALL)
        reader.feed(text)
    made = {("time", ""), ("time", "datetime"), ("time", "title"), ("time", "data-time"), ("h3", ""), ("h3", "class")}
    return frozenset(reader.found | made)


class _Vocabulary(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.found |= {(tag, ""), *((tag, name) for name, _ in attrs)}


class Page(HTMLParser):
    """A page as a browser's parser would read it, with all that is wrong with it. `origins`: where links may lead beside us."""

    def __init__(self, text: str, *, origins: tuple[str, ...] = ()) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = [f"acts: {found!r}" for found in sorted(set(ACTING.findall(text)))]
        self.text = ""
        self.open: list[tuple[str, list[str]]] = []
        self.origins = origins
        self.feed(text)
        self.close()
        self.faults += [f"not closed: {tag}" for tag, _ in self.open]

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.faults += list(self._attributes(tag, attrs))
        if (tag, "") not in vocabulary():
            self.faults.append(f"element that no template has: {tag} {attrs}")
        if tag == "script" and not (dict(attrs).get("src") or "").startswith("/static/"):
            self.faults.append(f"script: {attrs}")
        self._note(BESIDE if tag in {"input", "img", "svg"} else "")
        if tag not in VOID:
            self.open.append((tag, []))

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def _attributes(self, tag: str, attrs: Attributes) -> Iterator[str]:
        for name, value in attrs:
            if name.startswith("on") or name in {"style", "srcdoc"} or (tag, name) not in vocabulary():
                yield f"attribute that no template has: {tag} {name}={value!r}"
            if name in ADDRESSES and not self._ours(value or ""):
                yield f"leads elsewhere: {tag} {name}={value!r}"

    def _ours(self, address: str) -> bool:
        if address.startswith(self.origins or ("\0",)):
            return True
        return address.startswith(("/", "#", "?")) and not address.startswith(("//", "/\\"))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"closes what is not open: {tag} within {[name for name, _ in self.open[-3:]]}")
            return
        _, texts = self.open.pop()
        self.faults += self._turned(tag, texts)
        self._note(BESIDE if texts and tag in INLINE else "")

    def handle_data(self, data: str) -> None:
        self.text += data
        if data.strip():
            self._note(data)

    def _note(self, text: str) -> None:
        if self.open and text:
            self.open[-1][1].append(text)

    @staticmethod
    def _turned(tag: str, texts: list[str]) -> list[str]:
        """Texts written from right to left that stand with others in one line, and would turn those around."""
        if tag in ALONE or len(texts) < 2:
            return []
        return [f"turns what is beside it ({tag}): {text!r}" for text in texts if rightwards(text)]

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"comment: {data[:80]!r}")

    def handle_decl(self, decl: str) -> None:
        if decl != "doctype html":
            self.faults.append(f"declaration: {decl[:80]!r}")

    def unknown_decl(self, data: str) -> None:
        self.faults.append(f"declaration: {data[:80]!r}")

    def handle_pi(self, data: str) -> None:
        self.faults.append(f"instruction: {data[:80]!r}")


def rightwards(text: str) -> bool:
    """Whether it has letters that are written from right to left."""
    return any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text)
