"""`/reps/preview`: exactly what a customer sees in the shop, why, and what is missing."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup

from core.settings import RepFlowSettings
from pipelines.context import Context
from pipelines.desk import Refused
from pipelines.repview import Preview, preview, source_of
from web.dashboard.common import Seeing, context_of
from web.pages import language, page
from web.portal.view import fragment, view
from web.portal.whose import team_of

router = APIRouter()

FOUND: Final = 20
"""Customers that are offered for a part of a number or name."""
Words = Annotated[str, Query(max_length=200)]


@router.get("/reps/preview")
def as_customer(
    request: Request, _person: Seeing, customer: Words = "", flow: Words = "", portal: Words = "", on: Words = ""
) -> Response:
    """The form, and the card below it."""
    context = context_of(request)
    if not context.reps:
        return page(request, "reps_none.html")
    mine = source_of(context, flow)
    found = preview(context, mine, customer, portal=portal, on=day_of(on)) if customer.strip() else None
    return page(
        request,
        "reps_preview.html",
        flows=sorted(context.reps),
        flow=mine.name,
        portals=[one.name for one in context.portals.values() if one.source == mine.source],
        found=found,
        shown=shown(request, found) if found is not None else "",
        near=near(context, mine, customer) if found is None or found.kept is None else [],
        wanted={"customer": customer, "portal": portal, "on": on},
    )


def shown(request: Request, found: Preview) -> Markup:
    """The very fragment that the portal answers, without its form: nobody sends a request for somebody else."""
    if found.portal is None:
        return Markup("")
    card = found.card
    if not card.reps:
        card = card.model_copy(update={"reps": (team_of(found.portal),), "team": True})
    made = view(card, found.portal, language(request), asks=False)
    return Markup(fragment(made))  # noqa: S704 - our own template, which escapes


def near(context: Context, flow: RepFlowSettings, text: str) -> list[tuple[str, str]]:
    """Number and name of customers whose number begins so, as a person who does not know it by heart looks for it."""
    cards = context.ledger.reps.cards(flow.source, after=before(text.strip()), limit=FOUND)
    return [(one.customer, one.name) for one in cards]


def before(text: str) -> str:
    """What comes right before everything that begins so, in the order of the ledger (pure)."""
    if not text or ord(text[-1]) <= 33:
        return ""
    one_less = (
        0xD7FF if text[-1] == "\ue000" else ord(text[-1]) - 1
    )  # between them lie surrogates, which are no characters
    return text[:-1] + chr(one_less) + "\U0010fffe"


def day_of(text: str) -> date | None:
    """A day of a form. Raises Refused."""
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Refused(f"{text!r} is no day. What to do: choose one, or write it as year-month-day.") from None
