"""`stock`: levels, thresholds and alerts of goods."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.noting import actor
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context
from console.output import print_json, print_table, say, when
from core.errors import ConfigurationProblem, OrderwireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.stockdesk import AlertView, LevelView, StoreView

stock_app = typer.Typer(
    help="Goods: how much there is, from how much on whom to tell, and what is low.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Of = Annotated[str, typer.Option("--stock", help="Name of the [[stock]]; the first, if not given.")]
Text = Annotated[str, typer.Option("--text", help="In the article's number or name.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="So many rows.")]


@stock_app.command("list")
def list_levels(
    stock: Of = "",
    text: Text = "",
    warehouse: Annotated[str, typer.Option("--warehouse", help="Only this one.")] = "",
    limit: Limit = 100,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Levels by article number, with the threshold that holds for each and the age of what is known."""
    from pipelines.stockdesk import StockDesk

    with open_context(load(file, with_secrets=False)) as context:
        desk = StockDesk(context)
        chosen = desk.chosen(stock)
        state = context.ledger.stock.source(chosen.source)
        found, stores = desk.levels(chosen.name, text=text, warehouse=warehouse, limit=limit), desk.stores(chosen.name)
    if as_json:
        print_json({"stock": chosen.name, "read_at": state.polled_at, "levels": [_level(one) for one in found]})
        return
    columns = ("article", "name", "warehouse", "on hand", "free", "threshold", "owner", "", *chosen.publish)
    print_table(columns, [(*_level_row(one), *_told(one, chosen.publish)) for one in found])
    read = f"{when(state.polled_at)} (UTC)" if state.polled_at else "never to the end"
    say(f"Read from {chosen.source}: {read}.")
    for store in stores:
        say(_store(store))
    if state.bad:
        say(f"{state.bad} levels cannot be read. The first: {state.bad_why}")


@stock_app.command()
def alerts(
    stock: Of = "",
    owner: Annotated[str, typer.Option("--owner", help="Only this buyer's.")] = "",
    text: Text = "",
    closed: Annotated[bool, typer.Option("--closed", help="Those that are over.")] = False,
    limit: Limit = 100,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """What is below its threshold, the newest first. Exit code 1: something is, and is not put off."""
    from pipelines.stockdesk import StockDesk

    with open_context(load(file, with_secrets=False)) as context:
        found = StockDesk(context).alerts(stock, owner=owner, text=text, closed=closed, limit=limit)
    if as_json:
        print_json([_alert(one) for one in found])
    elif found:
        columns = (
            "number",
            "article",
            "warehouse",
            "there",
            "threshold",
            "days",
            "orders at risk",
            "owner",
            "since",
            "",
        )
        print_table(columns, [_alert_row(one) for one in found])
    else:
        say("Nothing was ever low." if closed else "Nothing is low.")
    if not closed and any(not one.alert.snooze for one in found):
        raise typer.Exit(PROBLEM)


@stock_app.command()
def threshold(
    scope: Annotated[str, typer.Argument(help="product, group or warehouse.")],
    subject: Annotated[str, typer.Argument(help="The article's number, the group's or the warehouse's name.")],
    minimum: Annotated[str, typer.Option("--minimum", help="Below it somebody is told.")] = "",
    target: Annotated[str, typer.Option("--target", help="How much there should be after buying.")] = "",
    owner: Annotated[str, typer.Option("--owner", help="The buyer in charge.")] = "",
    warehouse: Annotated[str, typer.Option("--warehouse", help="Of an article or group: only there.")] = "",
    stock: Of = "",
    file: File = DEFAULT,
) -> None:
    """Set one threshold; given no minimum, target or owner, forget it."""
    from ledger.thresholds import Threshold
    from pipelines.stockdesk import SCOPES, StockDesk, quantity

    if scope not in SCOPES:
        raise typer.BadParameter(f"use {', '.join(SCOPES)}", param_hint="SCOPE")
    if scope == "warehouse":
        subject, warehouse = "", subject
    with open_context(load(file, with_secrets=False)) as context:
        desk = StockDesk(context)
        if not (minimum or target or owner):
            desk.remove(stock, scope, subject, warehouse, by=actor())
            say("It is forgotten.")
            return
        try:
            wanted = Threshold(scope, subject, warehouse, owner, quantity(minimum), quantity(target))
        except ValueError as error:
            raise ConfigurationProblem(str(error)) from None
        changed, unheard = desk.set(stock, wanted, by=actor()), desk.unheard(stock, wanted)
    say("It is set, and compared with the next reading." if changed else "It is so already.")
    if unheard:
        say("No level of it is known yet. What to do: look whether it is spelled as in the source.", err=True)


@stock_app.command("export")
def export_thresholds(
    to: Annotated[Path | None, typer.Argument(help="A file; standard output, if not given.", metavar="[FILE]")] = None,
    stock: Of = "",
    file: File = DEFAULT,
) -> None:
    """All thresholds as a sheet (CSV)."""
    from pipelines.stockdesk import StockDesk

    with open_context(load(file, with_secrets=False)) as context:
        pieces = StockDesk(context).export(stock)
        if to is None:
            sys.stdout.writelines(pieces)
            return
        with to.open("w", encoding="utf-8-sig", newline="") as out:
            out.writelines(pieces)
    say(f"Written to {to}.")


@stock_app.command("import")
def import_thresholds(
    sheet: Annotated[Path, typer.Argument(help="A sheet like the one that `export` writes.", metavar="FILE")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and do nothing.")] = False,
    stock: Of = "",
    file: File = DEFAULT,
) -> None:
    """Take thresholds from a sheet: its lines are set (`remove`: forgotten), all others stay. Exit code 1: a line is wrong."""
    from console import sheets
    from pipelines.stockdesk import MOST_LINES, StockDesk

    lines = sheets.read(sheet, most=MOST_LINES)
    with open_context(load(file, with_secrets=False)) as context:
        done = StockDesk(context).take_in(stock, lines, by=actor(), dry_run=dry_run)
    for number, why in done.bad:
        say(f"line {number}: {why}")
    would = "would change" if dry_run else "changed"
    say(f"{done.taken} thresholds {would}, {done.same} are so already, {len(done.bad)} lines are wrong.")
    if done.bad:
        raise typer.Exit(PROBLEM)


@stock_app.command()
def snooze(
    number: Annotated[int, typer.Argument(help="Of the alert.", min=1)],
    until: Annotated[str, typer.Option("--until", help="delivery, or a day like 2026-12-24.")] = "delivery",
    end: Annotated[bool, typer.Option("--end", help="Tell it again.")] = False,
    file: File = DEFAULT,
) -> None:
    """Say nothing of an alert until more of the article is there, or until a day."""
    from pipelines.stockdesk import StockDesk

    kind, day = ("", None) if end else ("delivery", None) if until == "delivery" else ("date", _day(until))
    with open_context(load(file, with_secrets=False)) as context:
        found = StockDesk(context).snooze(number, kind, until=day, by=actor())
    said = (
        "is told again"
        if end
        else "is put off until more is there"
        if kind == "delivery"
        else f"is put off until {until}"
    )
    say(f"{found.sku} {said}.")


@stock_app.command()
def read(
    name: Annotated[
        str, typer.Argument(help="Name of the [[stock]]; the first, if not given.", metavar="[STOCK]")
    ] = "",
    anyway: Annotated[bool, typer.Option("--anyway", help="What is not told is gone, however much it is.")] = False,
    file: File = DEFAULT,
) -> None:
    """Read all levels now, compare them, and tell what is to be told."""
    from pipelines import stocks
    from pipelines.stockdesk import StockDesk

    with open_context(load(file)) as context:
        desk = StockDesk(context)
        chosen = desk.chosen(name)
        try:
            changed = stocks.read_all(context, chosen, anyway=anyway)
        except OrderwireError as error:
            raise ConfigurationProblem(error.message) from error
        counts = context.ledger.stock.counts(chosen.source)
    say(f"{sum(counts.values())} levels are known, {changed} changed.")


@stock_app.command()
def publish(
    name: Annotated[
        str, typer.Argument(help="Name of the [[stock]]; the first, if not given.", metavar="[STOCK]")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would tell, and tell nothing.")] = False,
    store: Annotated[str, typer.Option("--store", help="Only this one.")] = "",
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Tell the stores now how much they may sell, as far as they were told something else."""
    from pipelines.stockdesk import StockDesk

    with open_context(load(file, with_secrets=not dry_run)) as context:
        desk = StockDesk(context)
        try:
            done = {} if dry_run else desk.publish(name, store)
            found = list(desk.differences(name, store)) if dry_run else []
        except OrderwireError as error:
            raise ConfigurationProblem(error.message) from error
    rows = [(one, of.sku, of.told.quantity, of.wanted) for one, of in found]
    if as_json and not dry_run:
        print_json([{"store": one, "quantities": count} for one, count in done.items()])
        return
    for one, count in done.items():
        say(f"{one} was told {count} quantities.")
    if not dry_run:
        return
    if as_json:
        print_json([{"store": one, "sku": sku, "told": told, "wanted": wanted} for one, sku, told, wanted in rows])
    elif rows:
        table = [(one, sku, str(told) if told is not None else "", str(wanted)) for one, sku, told, wanted in rows]
        print_table(("store", "article", "was told", "would be told"), table)
    else:
        say("Every store was told what may be sold.")


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter("write delivery, or a day like 2026-12-24", param_hint="--until") from None


def _level(one: LevelView) -> dict[str, Any]:
    level = one.level
    return {
        "sku": level.sku, "name": level.name, "warehouse": level.warehouse, "group": one.group, "on_hand": str(level.on_hand),
        "available": str(level.available) if level.available is not None else None, "free": str(one.free),
        "minimum": str(one.rule.minimum) if one.rule else None, "owner": one.rule.owner if one.rule else "",
        "low": one.low, "since": level.read_at,
        "stores": {
            store: {"quantity": told.quantity, "at": told.at, "problem": told.problem, "reason": told.reason}
            for store, told in one.told.items()
        },
    }  # fmt: skip


def _told(one: LevelView, stores: Sequence[str]) -> list[str]:
    """What each store has of the article, and what is wrong with that."""
    found = []
    for store in stores:
        told = one.told.get(store)
        quantity = str(told.quantity) if told is not None and told.quantity is not None else ""
        found.append(f"{quantity} {told.problem if told is not None else ''}".strip())
    return found


def _store(one: StoreView) -> str:
    counts = {
        "": "has",
        "doubtful": "may have",
        "unknown": "does not know",
        "unkept": "counts none of",
        "refused": "refuses",
    }
    said = [f"{words} {one.counts[problem]}" for problem, words in counts.items() if one.counts.get(problem)]
    why = f" Nothing is told now: {one.offering.problem}" if one.offering.problem else ""
    return f"{one.store} {', '.join(said) or 'was told nothing yet'}.{why}"


def _level_row(one: LevelView) -> tuple[str, ...]:
    rule, level = one.rule, one.level
    held = (f"{rule.minimum:f}", rule.owner) if rule is not None else ("", "")
    low = "LOW" if one.low else ""
    return (level.sku, level.name, level.warehouse, f"{level.on_hand:f}", f"{one.free:f}", *held, low)


def _alert(one: AlertView) -> dict[str, Any]:
    alert, item = one.alert, one.item
    return {
        "id": alert.id, "stock": one.stock, "sku": alert.sku, "name": alert.name, "warehouse": alert.warehouse,
        "quantity": str(alert.quantity), "minimum": str(alert.minimum),
        "target": str(alert.target) if alert.target is not None else None, "owner": alert.owner, "since": alert.opened_at,
        "told_at": alert.told_at, "closed_at": alert.closed_at, "closed_why": alert.closed_why, "snooze": alert.snooze,
        "snoozed_until": alert.snoozed_until, "days_of_cover": item.cover, "orders_at_risk": list(item.risk.orders),
        "money_at_risk": [{"currency": currency, "amount": str(amount)} for currency, amount in item.risk.money],
    }  # fmt: skip


def _alert_row(one: AlertView) -> tuple[str, ...]:
    alert, item = one.alert, one.item
    money = " + ".join(f"{amount:f} {currency}" for currency, amount in item.risk.money)
    risk = f"{len(item.risk.orders)} ({money})" if item.risk.orders else ""
    until = f" {alert.snoozed_until:%Y-%m-%d}" if alert.snoozed_until else ""
    snooze = f"put off: {alert.snooze}{until}" if alert.snooze else alert.closed_why
    there = (f"{alert.quantity:f}", f"{alert.minimum:f}", str(item.cover) if item.cover is not None else "")
    name = f"{alert.sku} {alert.name}".strip()
    return (str(alert.id), name, alert.warehouse, *there, risk, alert.owner, when(alert.opened_at), snooze)
