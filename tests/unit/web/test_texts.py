"""Every word that people read on a page goes through gettext, and the list for translators has all of them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from core.rights import Right
from web.pages import environment

ROOT = Path(__file__).parents[3]
TEMPLATES = sorted((ROOT / "web" / "templates").glob("*.html"))
SHOWN = frozenset(
    {"title", "placeholder", "aria-label", "alt", "data-name", "data-live", "data-resting", "data-away", "label"}
)
"""Attributes that people read."""
NAMES = frozenset({"Orderwire", "Enter", "vtiger", "WooCommerce", "CSV", "UTC", "GET", "POST", "ms"})
"""The same in every language."""
KEEP = "x·"
"""Stands where Jinja puts something in: no word, and also good as the name of a tag."""


def plain(source: str) -> str:
    """The template's own text: what Jinja would put in, and what stands in `trans`, is out."""
    text, inside, skipped = "", False, 0
    for _, kind, value in environment("en").lex(source):
        if kind == "name" and value in {"trans", "endtrans"} and inside:
            skipped += 1 if value == "trans" else -1
        if kind in {"block_begin", "variable_begin", "comment_begin"}:
            inside = True
        elif kind in {"block_end", "variable_end", "comment_end"}:
            inside = False
            text += KEEP if kind == "variable_end" else ""
        elif kind == "data" and not skipped:
            text += value
    return text


class Reader(HTMLParser):
    """Collects what people would read untranslated."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._quiet: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "style", "kbd", "code"}:
            self._quiet.append(tag)
        for name, value in attrs:
            if name in SHOWN and value and self._words(value):
                self.found.append(f"<{tag} {name}={value!r}>")

    def handle_endtag(self, tag: str) -> None:
        if self._quiet and self._quiet[-1] == tag:
            self._quiet.pop()

    def handle_data(self, data: str) -> None:
        if not self._quiet and self._words(data):
            self.found.append(data.strip())

    @staticmethod
    def _words(text: str) -> list[str]:
        return [word for word in re.findall(r"[^\W\d_]{2,}", text) if word not in NAMES]


def untranslated(source: str) -> list[str]:
    reader = Reader()
    reader.feed(plain(source))
    reader.close()
    return reader.found


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_every_text_goes_through_gettext(file: Path) -> None:
    assert not untranslated(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        '<a title="Look">{{ _("fine") }}</a>',
        "{% if x %}<td>{{ y }} orders</td>{% endif %}",
        '<input placeholder="Number {{ n }}">',
    ],
)
def test_a_forgotten_text_is_found(source: str) -> None:
    assert untranslated(source)


def test_what_is_translated_or_no_word_is_left_alone() -> None:
    assert not untranslated(
        '<p class="lead">{{ _("Hello") }} · {% trans %}and you{% endtrans %} → {{ x }}</p><kbd>Enter</kbd>'
    )


def test_the_list_for_translators_has_every_sentence() -> None:
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2), "translated": (2,)}
    found = extract_from_dir(
        ROOT / "web", [(f"{pattern.removeprefix('web/')}", how) for pattern, how in methods], options, keywords
    )
    wanted = {message for _, _, message, _, _ in found}
    with (ROOT / "web" / "locales" / "orderwire.pot").open("rb") as listed:
        known = {message.id for message in read_po(listed) if message.id}
    assert wanted, "the extraction finds something"
    assert wanted == known, "run `make texts`"


def test_rights_named_in_templates_exist() -> None:
    named = {
        (file.name, right)
        for file in TEMPLATES
        for right in re.findall(r"""may\(["']([^"']+)["']\)""", file.read_text(encoding="utf-8"))
    }
    assert not {(name, right) for name, right in named if right not in set(Right)}, (
        "an unknown right would hide a button for ever"
    )


def test_every_template_compiles() -> None:
    for file in TEMPLATES:
        environment("en").get_template(file.name)
