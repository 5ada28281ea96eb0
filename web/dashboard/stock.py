"""`/stock`: levels with their age, what is low, and the thresholds."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from itertools import chain
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.people import Person
from ledger.search import LARGEST_ID
from ledger.thresholds import Scope, Threshold
from pipelines import sheets
from pipelines.desk import Refused
from pipelines.stockdesk import MOST_LINES, SCOPES, StockDesk, behind, cursor, quantity
from web.access import LARGEST, require
from web.dashboard.common import Seeing, context_of, state_of
from web.dashboard.desk import address
from web.pages import back, page, translated

router = APIRouter()
_ = translated

ROWS: Final = 100
LARGEST_SHEET: Final = LARGEST - 64 * 1024
"""Bytes. With the rest of its form it must be one request; the command line takes in larger ones."""
Handling = Annotated[Person, Depends(require(Right.HANDLE))]
Exporting = Annotated[Person, Depends(require(Right.EXPORT))]
Filling = Annotated[Person, Depends(require(Right.BULK))]
Word = Annotated[str, Query(max_length=200)]
Text = Annotated[str, Form(max_length=300)]


class Given(BaseModel):
    """The form with which a threshold is set."""

    of: str = Field(max_length=32)
    scope: str = Field(max_length=12)
    subject: str = Field(default="", max_length=300)
    warehouse: str = Field(default="", max_length=300)
    owner: str = Field(default="", max_length=32)
    minimum: str = Field(default="", max_length=40)
    target: str = Field(default="", max_length=40)

    def threshold(self) -> Threshold:
        """As it is to be. Raises Refused."""
        try:
            numbers = quantity(self.minimum), quantity(self.target)
        except ValueError as error:
            raise Refused(str(error)) from None
        scope, subject, warehouse = cast("Scope", self.scope), self.subject.strip(), self.warehouse.strip()
        return Threshold(scope, subject, warehouse, self.owner, *numbers)


def desk(request: Request) -> StockDesk:
    """The services over this process's state."""
    return StockDesk(context_of(request), state_of(request).nudge)


@router.get("/stock")
def stock(
    request: Request,
    _person: Seeing,
    of: Annotated[str, Query(max_length=32)] = "",
    q: Word = "",
    warehouse: Word = "",
    after: Annotated[str, Query(max_length=4000)] = "",
    before: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
) -> Response:
    """One source: its alerts, its levels, its thresholds."""
    mine = desk(request)
    if not context_of(request).stocks:
        return page(request, "stock_none.html")
    chosen = mine.chosen(of)
    levels = mine.levels(chosen.name, text=q, warehouse=warehouse, after=behind(after), limit=ROWS + 1)
    alerts = mine.alerts(chosen.name, text=q, after=before, limit=ROWS + 1)
    thresholds, count = context_of(request).ledger.stock.thresholds.found(chosen.source, text=q, limit=ROWS)
    sources = mine.sources()
    return page(
        request,
        "stock.html",
        sources=sources,
        chosen=next(one for one in sources if one.stock.name == chosen.name),
        q=q,
        warehouse=warehouse,
        levels=levels[:ROWS],
        more=cursor(levels[ROWS - 1].level) if len(levels) > ROWS else "",
        alerts=alerts[:ROWS],
        older=alerts[ROWS - 1].alert.id if len(alerts) > ROWS else 0,
        thresholds=thresholds,
        count=count,
        shown=ROWS,
        scopes=SCOPES,
        buyers=sorted(context_of(request).buyers),
    )


@router.post("/stock/thresholds")
def set_threshold(request: Request, person: Handling, given: Annotated[Given, Form()]) -> Response:
    """Set one."""
    of = given.of
    wanted = given.threshold()
    changed = desk(request).set(of, wanted, by=person.actor)
    said = _(request, "Set; it is compared with the next reading.") if changed else _(request, "It is so already.")
    if desk(request).unheard(of, wanted):
        said += " " + _(request, "No level of it is known yet: look whether it is spelled as in the source.")
    return back(request, _here(of), said)


@router.post("/stock/thresholds/remove")
def remove_threshold(
    request: Request, person: Handling, of: Text, scope: Text, subject: Text = "", warehouse: Text = ""
) -> Response:
    """Forget one."""
    desk(request).remove(of, scope, subject, warehouse, by=person.actor)
    return back(request, _here(of), _(request, "The threshold is forgotten."))


@router.get("/stock/thresholds.csv")
def export(request: Request, person: Exporting, of: Annotated[str, Query(max_length=32)] = "") -> Response:
    """All of them, as a sheet that can be taken in again."""
    mine = desk(request)
    chosen = mine.chosen(of)
    pieces = (piece.encode() for piece in chain(["\ufeff"], mine.export(chosen.name)))
    context_of(request).ledger.audit.note(person.actor, "stock.export", f"stock/{chosen.source}", {})
    headers = {
        "Content-Disposition": f'attachment; filename="thresholds-{chosen.name}.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/stock/thresholds/import")
def take_in(
    request: Request, person: Filling, of: Text, sheet: Annotated[UploadFile | None, File()] = None
) -> Response:
    """Take a sheet in: its good lines count, the others are listed."""
    if sheet is None or not sheet.filename:
        raise Refused("No file was chosen. What to do: choose the sheet that was filled in, then press again.")
    raw = sheet.file.read(LARGEST_SHEET + 1)
    if len(raw) > LARGEST_SHEET:
        raise Refused(
            f"The sheet has more than {LARGEST_SHEET // 1024} KiB. What to do: take it in with `orderwire stock import`."
        )
    done = desk(request).take_in(of, sheets.parse(raw, sheet.filename[:120], most=MOST_LINES), by=person.actor)
    said = _(
        request, "Changed: %(taken)s. So already: %(same)s. Wrong: %(bad)s.",
        taken=done.taken, same=done.same, bad=len(done.bad),
    )  # fmt: skip
    wrong = " ".join(_(request, "Line %(number)s: %(why)s", number=number, why=why) for number, why in done.bad[:5])
    return back(request, _here(of), f"{said} {wrong}".strip(), well=not done.bad)


@router.post("/stock/alerts/{number}/snooze")
def snooze(
    request: Request, number: int, person: Handling, of: Text, kind: Text = "delivery", until: Text = ""
) -> Response:
    """Say nothing of it for a while."""
    day = None
    if kind == "date":
        try:
            day = datetime.combine(date.fromisoformat(until), time.min, tzinfo=UTC)
        except ValueError:
            raise Refused("Until when is not a day. What to do: choose one.") from None
    if not 0 < number <= LARGEST_ID:
        raise Refused("There is no such alert. What to do: look at the list again.")
    found = desk(request).snooze(number, "" if kind == "again" else kind, until=day, by=person.actor)
    put_off, again = (
        _(request, "%(sku)s is put off.", sku=found.sku),
        _(request, "%(sku)s is told again.", sku=found.sku),
    )
    said = put_off if found.snooze else again
    return back(request, _here(of), said)


def _here(of: str) -> str:
    return address("/stock", {"of": of})
