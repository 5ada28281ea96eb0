"""Old orders, on request: a run that can be killed at any point and gone on with, throttled, and silent.

Every order is noted with a verdict *before* its job can run: "linked" (it is there already), "listed" (from before the
flow's start: linked if it carries our id over there, never created), "create" (the same, and a person said so), "new" (from
after the start), "unreadable" (its job will be held). A verdict that was noted stays, however often the run begins anew.
What became of the jobs is looked up whenever somebody asks.

Silent: the jobs carry the run's mark (`ledger.runs.mark`), by which pipelines.invoices leaves invoices out, unless the run was
told to make them. Nobody is told of single orders anyway, and stock moves with invoices only.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from core.clock import parse_utc
from core.errors import ConfigurationProblem, Held, OrderwireError, RetryLater
from core.keys import Change, Key
from core.money import show
from core.settings import FlowSettings
from ledger.inbox import Route
from ledger.runjobs import Ended, RunJobs, ends
from ledger.runs import CREATE, RATE, Item, Lost, RunView, mark
from pipelines.context import Context

AHEAD: Final = 300
"""So many backfill jobs of a flow wait at most: what is live stays quick, and a stop leaves little behind."""
SLICE: Final = 50
"""Orders that are taken in together."""
LOOK: Final = 1.0
"""Seconds between two looks at how far the jobs are."""
RESTS: Final = 30.0
"""Seconds of rest after which it is looked whether the run is still to go on."""

Progress = Callable[[int, int | None], None]
Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked for. `until` None: now (the moment at which the run first began). `rate`: orders per minute at most;
    0: as quick as the jobs are carried out. It is kept with a run and no part of what identifies it: it may be changed on the
    way.
    """

    since: datetime
    until: datetime | None = None
    create: bool = False
    invoices: bool = False
    rate: float = 0.0

    def options(self) -> dict[str, Any]:
        """What identifies the run: the same command goes on with it."""
        return {
            "since": _text(self.since),
            "until": _text(self.until) if self.until else "",
            "create": self.create,
            "invoices": self.invoices,
        }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _ignore(_done: int, _total: int | None) -> None:
    """Nobody looks."""


# -- before anything is stored -----------------------------------------------------------------------------------------


def survey(context: Context, flow: FlowSettings, wanted: Wanted, *, progress: Progress = _ignore) -> tuple[Ended, ...]:
    """What the run would find, by verdict, with number and money. Asks the store alone; stores nothing."""
    until, seen = wanted.until or context.clock.now(), 0
    items: list[Item] = []
    for page in context.store(flow.source).orders_between(wanted.since, until):
        items += _verdicts(context, flow, wanted, page.changes).values()
        seen += len(page.changes)
        progress(seen, page.total)
    unique = {item.key: item for item in items}  # a listing may tell an order twice
    return tuple(ends((item, None) for item in unique.values()))


def require_ready(context: Context, flow: FlowSettings, wanted: Wanted, *, without_adopt: bool = False) -> None:
    """Raises ConfigurationProblem where the flow would carry nothing out, or could create what is there already."""
    state = context.ledger.flows.get(flow.name)
    if state.mode == "paused":
        raise ConfigurationProblem(
            f"The flow {flow.name} is paused: nothing would be carried out. What to do: `orderwire flow resume {flow.name}`."
        )
    if not wanted.create:
        return
    if not state.live:
        raise ConfigurationProblem(
            f"The flow {flow.name} is only rehearsed: nothing can be created. What to do: `orderwire flow live {flow.name}` "
            "first; without --create the orders are rehearsed."
        )
    until = min(wanted.until or context.clock.now(), state.start or wanted.since)
    gap = uncovered(_adopted(context, flow), wanted.since, until)
    if gap is not None and not without_adopt:
        raise ConfigurationProblem(
            f"No finished adopt run has looked for the orders placed from {gap:%Y-%m-%d %H:%M} UTC on in {flow.target}: what "
            f"people typed there would be doubled. What to do: `orderwire adopt --since {gap:%Y-%m-%d}` first, or "
            "--without-adopt if nobody can have typed any."
        )


def _adopted(context: Context, flow: FlowSettings) -> list[tuple[datetime, datetime]]:
    runs = context.ledger.runs.list(kind="adopt", flow=flow.name, limit=1000)
    return [
        (parse_utc(str(run.options["since"])), parse_utc(str(run.options.get("until") or run.started_at.isoformat())))
        for run in runs
        if run.state == "done" and run.options.get("since")
    ]


def uncovered(spans: Sequence[tuple[datetime, datetime]], since: datetime, until: datetime) -> datetime | None:
    """The first moment of [since, until) in none of the spans; None: they cover it (pure)."""
    reached = since
    for begin, end in sorted(spans):
        if begin <= reached < end:
            reached = end
    return reached if reached < until else None


# -- the run -----------------------------------------------------------------------------------------------------------


def backfill(
    context: Context,
    flow: FlowSettings,
    wanted: Wanted,
    *,
    by: str = "",
    run: RunView | None = None,
    progress: Progress = _ignore,
    pause: Pause = time.sleep,
) -> RunView:
    """Take in the orders placed in [since, until), oldest first. An interrupted run (`run`, else one of the same options) is
    gone on with. Raises RetryLater when the store is out: the same command goes on later; Lost when somebody has ended the run.
    """
    runs, beside = context.ledger.runs, {RATE: wanted.rate}
    run = run or runs.command("backfill", flow.name, wanted.options(), by=by, beside=beside)
    feeder = _Feeder(context, flow, wanted, run, progress, pause)
    try:
        feeder.feed()
    except Lost:
        raise
    except OrderwireError as error:
        runs.end(run.id, "stopped", error.message)
        raise
    runs.end(run.id, "done", feeder.words())
    return runs.get(run.id) or run


class _Feeder:
    """Hands a store's old orders to the jobs, no faster than it may."""

    def __init__(
        self, context: Context, flow: FlowSettings, wanted: Wanted, run: RunView, progress: Progress, pause: Pause
    ) -> None:
        self._context, self._flow, self._wanted, self._run = context, flow, wanted, run
        self._progress, self._pause = progress, pause
        self._jobs = RunJobs(context.ledger.db)
        self._until = _until(context, wanted, run)
        self._total: int | None = None
        self._counts: Counter[str] = Counter()
        self._money: dict[str, Decimal] = {}
        for known in context.ledger.runs.sums(run.id):
            self._count(known.verdict, known.currency, known.amount, known.count)

    @property
    def seen(self) -> int:
        """Orders noted so far, before an interruption too."""
        return sum(self._counts.values())

    def feed(self) -> None:
        """From where the run stopped to its end."""
        since = parse_utc(self._run.cursor) if self._run.cursor else self._wanted.since
        self._note(since)
        before = self.seen
        for page in self._context.store(self._flow.source).orders_between(since, self._until):
            self._total = page.total + before if page.total is not None else None
            for changes in _sliced(page.changes, self._slice):
                self._go_on()
                since = max(since, self._take_in(changes))
                self._note(since)
                self._progress(self.seen, self._total)
                if self._wanted.rate:
                    self._rest(len(changes) * 60 / self._wanted.rate)

    @property
    def _slice(self) -> int:
        """At a rate, some five seconds' worth at once."""
        return max(1, min(SLICE, int(self._wanted.rate / 12))) if self._wanted.rate else SLICE

    def _go_on(self) -> None:
        """Wait until the jobs have followed; raises where somebody has ended the run meanwhile."""
        while True:
            self._context.ledger.runs.require_ours(self._run)
            if self._jobs.ahead(self._flow.name) + self._slice <= AHEAD:
                return
            self._progress(self.seen, self._total)
            self._pause(LOOK)

    def _rest(self, seconds: float) -> None:
        """At a low rate that is long: it is still to be seen that somebody is at work."""
        while seconds > 0:
            self._pause(min(seconds, RESTS))
            seconds -= RESTS
            self._context.ledger.runs.require_ours(self._run)

    def _take_in(self, changes: Sequence[Change]) -> datetime:
        """Note, then hand over: no job runs before its verdict is written. The latest moment that one was placed at."""
        context, runs = self._context, self._context.ledger.runs
        known = runs.some(self._run.id, [str(change.key) for change in changes])
        items = known | _verdicts(context, self._flow, self._wanted, [c for c in changes if str(c.key) not in known])
        fresh = [item for key, item in items.items() if key not in known]
        runs.put(self._run.id, fresh)
        for item in fresh:
            self._count(item.verdict, item.currency, Decimal(item.amount or 0))
        accepted = context.ledger.inbox.accept(changes, self._routes, via="backfill", correlation=mark(self._run.id))
        self._wake([one.change for one in accepted if not one.jobs], items)
        placed = [parse_utc(str(item.facts["placed"])) for item in items.values() if item.facts.get("placed")]
        return max(placed, default=self._wanted.since)

    def _wake(self, unmoved: Sequence[Change], items: Mapping[str, Item]) -> None:
        """Records that were known in this very state: their jobs are woken where they are to be created now, and made where
        this flow has none yet.
        """
        jobs = self._jobs.of_keys(self._flow.name, [str(change.key) for change in unmoved])
        done = self._linked([change.key for change in unmoved])
        for route in self._routes(unmoved[0].key) if unmoved else ():
            wanted = [
                change
                for change in unmoved
                if str(change.key) not in jobs
                or (
                    jobs[str(change.key)].state == "skipped"
                    and items[str(change.key)].verdict == CREATE
                    and str(change.key) not in done
                )
            ]
            self._jobs.want(self._run.id, route, wanted)

    def _linked(self, keys: Sequence[Key]) -> set[str]:
        found = self._context.ledger.links.find(self._flow.target, "order", [str(key) for key in keys])
        return {key for key, link in found.items() if link.linked}

    def _routes(self, key: Key) -> tuple[Route, ...]:
        """This flow's alone: another one from the same store was not asked for."""
        return tuple(route for route in self._context.backfill_routes(key) if route.flow == self._flow.name)

    def _count(self, verdict: str, currency: str, amount: Decimal, count: int = 1) -> None:
        self._counts[verdict] += count
        if currency:
            self._money[currency] = self._money.get(currency, Decimal(0)) + amount

    def _note(self, reached: datetime) -> None:
        money = {currency: str(amount) for currency, amount in sorted(self._money.items())}
        counts = {"until": _text(self._until), "orders": self.seen, "verdicts": dict(self._counts), "money": money}
        counts |= {} if self._total is None else {"total": self._total}
        self._context.ledger.runs.progress(self._run.id, cursor=_text(reached), counts=counts)

    def words(self) -> str:
        """The run in a sentence."""
        money = ", ".join(show(amount, currency) for currency, amount in sorted(self._money.items()))
        kinds = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self._counts.items()))
        return f"{self.seen} orders ({money or 'no money'}): {kinds}." if self.seen else "No orders were placed then."


def _until(context: Context, wanted: Wanted, run: RunView) -> datetime:
    """Where the run ends: fixed when it first began."""
    kept = run.counts.get("until")
    return wanted.until or (parse_utc(str(kept)) if kept else context.clock.now())


def _sliced(changes: Sequence[Change], size: int) -> Iterator[Sequence[Change]]:
    for start in range(0, len(changes), size):
        yield changes[start : start + size]


def _verdicts(context: Context, flow: FlowSettings, wanted: Wanted, changes: Sequence[Change]) -> dict[str, Item]:
    """What is to become of these orders, by key."""
    keys = [str(change.key) for change in changes]
    links = context.ledger.links.find(flow.target, "order", keys)
    undone = context.ledger.runs.undone(flow.name, keys)
    start = context.ledger.flows.get(flow.name).start
    found: dict[str, Item] = {}
    for change in changes:
        key = str(change.key)
        item = _read(context, flow, change)
        link = links.get(key)
        if link is not None and link.linked:
            item = replace(item, verdict="linked", reason=f"It is {link.remote_number or link.remote_id} there.")
        elif item.verdict != "unreadable" and (key in undone or (start is not None and _before(item, start))):
            item = replace(item, verdict=CREATE if wanted.create else "listed")
        found[key] = item
    return found


def _before(item: Item, start: datetime) -> bool:
    return parse_utc(str(item.facts["placed"])) < start


def _read(context: Context, flow: FlowSettings, change: Change) -> Item:
    """Number, money and when it was placed, as far as it can be read."""
    key = str(change.key)
    if change.raw is None or change.deleted:
        return Item(key, "unreadable", change.number, reason="The store gives no state of it.")
    try:
        order = context.store(flow.source).order(change.key, change.raw)
    except Held as error:
        return Item(key, "unreadable", change.number, reason=error.message, error_class=error.error_class)
    facts = {"placed": _text(order.placed_at), "status": order.status.value}
    return Item(key, "new", order.number, str(order.total), order.currency, facts=facts)


# -- afterwards --------------------------------------------------------------------------------------------------------


def wait(context: Context, run: RunView, *, progress: Progress = _ignore, pause: Pause = time.sleep) -> None:
    """Until every job of the run has ended (what is only rehearsed has not to be waited for)."""
    jobs = RunJobs(context.ledger.db)
    orders = int(run.counts.get("orders", 0))
    while left := jobs.pending(run.id):
        if context.ledger.flows.get(run.flow).mode == "paused":
            raise RetryLater(
                f"The flow {run.flow} was paused, {left} orders wait. What to do: `orderwire flow resume {run.flow}`; "
                f"`orderwire runs show {run.id}` shows how far it is.",
                seconds=60,
            )
        progress(max(orders - left, 0), orders)
        pause(LOOK)
    progress(orders, orders)
