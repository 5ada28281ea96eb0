"""`/orders`: the orders that people work through, by how far they have come; every filter in the address."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from core.cells import table
from core.rights import Right
from ledger.orderlist import VIEWS, Listed, OrderLists, View, Wanted
from ledger.people import Person
from web.access import require
from web.dashboard.common import context_of
from web.dashboard.desk import SEEING, address
from web.pages import page

EXPORTED: Final = 10_000
"""Rows of one export."""
FIRST: Final[View] = "current"
COLUMNS: Final = (
    *("order", "record", "flow", "placed (UTC)", "status", "payment", "CRM", "whose", "delivery", "rush", "promised"),
    *("promise", "left (UTC)", "arrived (UTC)", "total", "currency", "invoices"),
)

router = APIRouter()


def wanted(
    view: Annotated[str, Query(max_length=16)] = "",
    flow: Annotated[str, Query(max_length=32)] = "",
    owner: Annotated[str, Query(max_length=120)] = "",
    word: Annotated[str, Query(max_length=120)] = "",
    rush: Annotated[str, Query(max_length=4)] = "",
) -> Wanted:
    """What the address asks for; a view that there is not is the first one."""
    return Wanted(view if view in VIEWS else FIRST, _told(flow), _told(owner), _told(word), rush == "yes")


Asked = Annotated[Wanted, Depends(wanted)]


@router.get("/orders", dependencies=SEEING)
def orders(request: Request, asked: Asked, after: Annotated[str, Query(max_length=400)] = "") -> Response:
    """A page at a time, the newest first."""
    lists = OrderLists(context_of(request).ledger.db)
    found, offered, kept = lists.part(asked, after=_told(after)), lists.offered(), params(asked)
    others = {name: value for name, value in kept.items() if name != "view"}
    return page(
        request,
        "orders.html",
        asked=asked,
        rows=found.orders,
        offered=offered,
        flows=sorted(context_of(request).flows),
        tabs=[(view, address("/orders", {"view": view, **others} if view != FIRST else others)) for view in VIEWS],
        narrowed=bool(others),
        next_page=address("/orders", {**kept, "after": found.after}) if found.after else "",
        first_page=address("/orders", kept) if after else "",
        export=address("/orders.csv", kept),
    )


@router.get("/orders.csv")
def export(request: Request, asked: Asked, person: Annotated[Person, Depends(require(Right.EXPORT))]) -> Response:
    """The list as a sheet, without page breaks."""
    ledger, after = context_of(request).ledger, ""
    rows: list[tuple[str, ...]] = []
    while len(rows) < EXPORTED:
        part = OrderLists(ledger.db).part(asked, after=after, limit=min(500, EXPORTED - len(rows)))
        rows += [_row(one) for one in part.orders]
        after = part.after
        if not after:
            break
    ledger.audit.note(person.actor, "orders.export", "orders", {"rows": len(rows), **params(asked)})
    headers = {"Content-Disposition": 'attachment; filename="orders.csv"', "Cache-Control": "no-store"}
    return Response("\ufeff" + table(COLUMNS, rows), media_type="text/csv; charset=utf-8", headers=headers)


def params(asked: Wanted) -> dict[str, str]:
    """The filters as an address has them; those that narrow nothing are left out."""
    view = "" if asked.view == FIRST else asked.view
    given = {"view": view, "flow": asked.flow, "owner": asked.owner, "word": asked.word}
    return {name: value for name, value in given.items() if value} | ({"rush": "yes"} if asked.rush else {})


def _told(text: str) -> str:
    """Without what no column can hold."""
    return text.replace("\0", "")


def _row(one: Listed) -> tuple[str, ...]:
    def moment(value: object) -> str:
        return str(value).split("+", 1)[0] if value is not None else ""

    return (
        *(
            one.number,
            one.order_key,
            one.flow,
            moment(one.placed_at),
            one.status,
            one.payment,
            one.crm_status,
            one.owner,
        ),
        *(one.method, "yes" if one.rush else "", one.promised_on, one.level, moment(one.shipped_at)),
        *(moment(one.delivered_at), str(one.total), one.currency),
        ", ".join(f"{bill.number} {bill.state}" for bill in one.bills),
    )
