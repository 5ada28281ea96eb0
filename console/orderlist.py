"""`orders`: the orders that people work through, by how far they have come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.opening import DEFAULT, AsJson, File, load, open_ledger
from console.output import print_json, print_table, say

if TYPE_CHECKING:
    from ledger.orderlist import Listed


def orders(
    view: Annotated[
        str, typer.Option(help="current, to_ship, under_way, unpaid, delivered, called_off, or all.")
    ] = "current",
    flow: Annotated[str, typer.Option(help="Only orders of this flow.")] = "",
    owner: Annotated[str, typer.Option(help="Only this one's, as the CRM connection's owners table calls them.")] = "",
    word: Annotated[str, typer.Option(help="Only those with this status in the CRM.")] = "",
    rush: Annotated[bool, typer.Option("--rush", help="Only rush orders.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Orders that were carried, the newest first: current ones unless --view says otherwise."""
    from ledger.orderlist import VIEWS, OrderLists, Wanted

    if view not in VIEWS:
        raise typer.BadParameter(f"use {', '.join(VIEWS[:-1])} or {VIEWS[-1]}", param_hint="--view")
    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        part = OrderLists(ledger.db).part(Wanted(view, flow, owner, word, rush), limit=limit)
    if as_json:
        print_json([_facts(one) for one in part.orders])
    elif part.orders:
        columns = ("order", "flow", "placed (UTC)", "status", "CRM", "whose", "promised", "invoices", "total")
        print_table(columns, [_row(one) for one in part.orders])
        if part.after:
            say(f"These are the newest {limit}. What to do: --limit for more.")
    else:
        say("No order is here. What to do: orderwire jobs lists what failed or waits, --view all every order.")


def _row(one: Listed) -> tuple[str, ...]:
    number = f"{one.number or one.order_key} (rush)" if one.rush else one.number or one.order_key
    promised = f"{one.promised_on} {one.level}".strip() if one.open else ""
    return (
        *(number, one.flow, one.placed_at.isoformat(" ", "minutes").split("+")[0], f"{one.status}, {one.payment}"),
        *(one.crm_status, one.owner, promised, ", ".join(f"{bill.number} {bill.state}" for bill in one.bills)),
        f"{one.total} {one.currency}",
    )


def _facts(one: Listed) -> dict[str, Any]:
    return {
        **{name: getattr(one, name) for name in ("number", "order_key", "flow", "target", "remote_id", "status")},
        **{name: getattr(one, name) for name in ("payment", "crm_status", "owner", "method", "rush", "open")},
        **{name: getattr(one, name) for name in ("placed_at", "shipped_at", "delivered_at", "promised_on", "level")},
        "total": str(one.total),
        "currency": one.currency,
        "invoices": [{"number": bill.number, "state": bill.state, "credit": bill.credit} for bill in one.bills],
    }
