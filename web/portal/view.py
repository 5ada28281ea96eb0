"""A card in words: the JSON of version 1 (docs/portal.md), from which the fragment and the web component are made as well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from typing import Any, Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date

from core.settings import PortalSettings
from core.visible import visible
from mapping.cards import ROLE_WORDS, Card, CardRep, role_words, shown
from web.pages import catalogue, environment

View = Mapping[str, Any]
FRAGMENT: Final = "portal_card.html"
PAGE: Final = "portal_page.html"
ANSWER: Final = "portal_said.html"


def view(card: Card, portal: PortalSettings, language: str, *, asks: bool = True) -> dict[str, Any]:
    """Everything that is shown, in one of our languages. `asks`: a request may be sent from it."""
    made = shown(card)
    known = role_names(language)
    roles = {**known, **portal.roles} if portal.roles else known
    for one, rep in zip(made["reps"], card.reps, strict=True):
        one["title"] = role_words(rep, roles)
        one["presence"] = _presence(rep, language)
        one["speaks"] = [language_name(tag, language) for tag in rep.languages]
    return {**made, "language": language, "words": words(language), "requests": asks and portal.requests}


def as_json(seen: View) -> bytes:
    """As it travels and is signed: ASCII alone, so that nobody has to guess the encoding."""
    return json.dumps(seen, separators=(",", ":")).encode()


def fragment(seen: View, *, action: str = "", token: str = "") -> str:
    """HTML for a page of somebody else. `action`, `token`: where a form without JavaScript sends a request; "": no form."""
    template = environment(seen["language"]).get_template(FRAGMENT)
    return visible(template.render(card=seen, action=action, token=token))


def document(seen: View, *, action: str = "", token: str = "") -> str:
    """The same as a page of its own."""
    template = environment(seen["language"]).get_template(PAGE)
    return visible(template.render(card=seen, action=action, token=token))


def answered(language: str, *, well: bool, message: str) -> str:
    """What somebody reads who sent a request without JavaScript."""
    template = environment(language).get_template(ANSWER)
    return visible(template.render(well=well, message=message))


@cache
def words(language: str) -> Mapping[str, str]:
    """What the card says itself. `{name}`: somebody's name, `{number}`: what is dialled or written to."""
    gettext = catalogue(language).gettext
    return {
        "heading": gettext("Your contacts"),
        "call": gettext("Call {name}: {number}"),
        "mobile": gettext("Call {name} on the mobile: {number}"),
        "write": gettext("Write to {name}: {number}"),
        "speaks": gettext("Speaks"),
        "partner": gettext("Partner"),
        "ask": gettext("Ask for a call, or send a message"),
        "text": gettext("Your message"),
        "phone": gettext("Your phone number"),
        "call_me": gettext("Please call me"),
        "write_me": gettext("Send the message"),
        "failed": gettext("That did not work. Please call or write an e-mail."),
    }


@cache
def role_names(language: str) -> Mapping[str, str]:
    """What roles are called to customers."""
    gettext = catalogue(language).gettext
    return {
        **ROLE_WORDS,
        "primary": gettext("Your contact"),
        "service": gettext("Service"),
        "inside": gettext("Inside sales"),
        "field": gettext("Field sales"),
        "support": gettext("Support"),
        "accounting": gettext("Accounting"),
        "team": gettext("Your contacts"),
    }


def _presence(rep: CardRep, language: str) -> str:
    """Who is away until when; never why."""
    if not rep.stands_in_for or rep.away_until is None:
        return ""
    sentence = catalogue(language).gettext("Stands in for %(name)s, who is away until %(day)s.")
    return sentence % {"name": rep.stands_in_for, "day": _day(rep.away_until, language)}


@lru_cache(maxsize=500)
def _day(day: date, language: str) -> str:
    return format_date(day, "long", Locale.parse(language, sep="-"))


@lru_cache(maxsize=500)
def language_name(tag: str, language: str) -> str:
    """`de` -> `German`; a tag that nobody knows stays as it is."""
    try:
        found = Locale.parse(tag, sep="-").get_display_name(Locale.parse(language, sep="-"))
    except (ValueError, UnknownLocaleError):
        return tag
    return found or tag
