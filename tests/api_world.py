"""A ledger with something of everything that the API tells of, and for each operation a request that is answered well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from core.settings import BuyerSettings, SellerSettings, StockSettings
from ledger.alerts import Condition
from ledger.problems import Problems
from ledger.reviews import Candidate
from ledger.search import member
from ledger.stock import Level
from ledger.thresholds import Threshold
from ledger.watches import Watched
from pipelines import bulk, schedules
from pipelines.stocks import Judge
from sandbox.crm import CrmApp
from tests.desk import HOSTILE, hostile_orders
from tests.orders import ADA, order
from tests.world import World

GOODS: Final = StockSettings(name="goods", source="erp", owner="anna", via=("mail",))
CHOSEN: Final = "shop/order/21"
"""The order that was changed on both sides."""


def fill(world: World, crm: CrmApp) -> None:
    """Orders that are held, waiting, settled, skipped and running; one that was changed on both sides, with its papers; a bulk
    action, runs, alerts, a schedule, goods that are low, a promise that was not kept.
    """
    _orders(world, crm)
    _goods(world)
    _promise(world)
    ledger = world.ledger
    ledger.alerts.open(Condition("connection/crm", "crm is out", "It is out. What to do: wait."))
    for one in schedules.of(world.context):
        ledger.schedules.start_if_due(one.name, every=one.every, lease=60)
        ledger.schedules.ended(one.name, "0 changes")
    ledger.schedules.start_if_due("poll/shop", every=300, lease=60)
    ledger.schedules.ended("poll/shop", "failed: <b>something</b>")
    candidates = [Candidate("6x99", "SO99", HOSTILE[0], 80, ("same number",))]
    ledger.reviews.offer("crm", "order", "shop/order/5001", HOSTILE[3], candidates)
    ledger.runs.begin("rehearse", "shop-orders", {"carried": True}, by="Olga", state="stopped")
    held = [job for job in ledger.jobs.list(state="held") if job.key != CHOSEN]
    bulk.begin(ledger, "<i>many</i>", [member(job) for job in held[:2]], by="Olga")


def _orders(world: World, crm: CrmApp) -> None:
    world.context.seller = SellerSettings(name="Lampenladen GmbH")
    for made in hostile_orders():
        world.deliver(made)
    for id in range(1, 4):
        world.deliver(order(id, currency="CHF"))
    world.carry(order(21))
    changed = {"id": world.order(21)["id"], "bill_city": "<b>Bremen</b>"}
    with crm.service.store.lock:
        crm.service.records.revise(crm.service.people.users["admin"], changed)
    found = world.carry(order(21, modified="2026-11-20T11:00:00", billing={**ADA, "city": "Hamburg"}))
    assert (found.state, found.error_class) == ("held", "changed there"), found.reason
    for id in range(11, 15):
        world.deliver(order(id))
    world.ledger.jobs.skip(world.job("shop/order/14").id, "by hand")
    world.ledger.jobs.claim("somebody else")


def _goods(world: World) -> None:
    world.context.stocks = {"goods": GOODS}
    world.context.buyers = {"anna": BuyerSettings(name="anna")}
    now, stock = world.ledger.clock.now(), world.ledger.stock
    levels = [
        Level("a/b", "LAMP-1", "Desk lamp", "lamps", Decimal(1), Decimal("0.5"), Decimal(2), now, now),
        Level("a/b", HOSTILE[0], HOSTILE[1], HOSTILE[2], Decimal(-1), None, None, None, now),
        *(Level("", f"X{number}", "", "", Decimal(number), None, None, None, now) for number in range(9)),
    ]
    stock.keep("erp", levels)
    stock.note("erp", polled_at=now)
    thresholds = [
        Threshold("product", "LAMP-1", "a/b", "anna", Decimal(5), Decimal(20)),
        Threshold("group", HOSTILE[2], minimum=Decimal(3)),
        Threshold("warehouse", "", "a/b", minimum=Decimal("1.5")),
    ]
    stock.thresholds.put("erp", thresholds, by="anna")
    Judge.of(world.ledger, GOODS).levels(levels)
    known = world.ledger.orders.get("shop-orders", CHOSEN)
    assert known is not None
    lines = tuple(replace(line, sku="LAMP-1", quantity=Decimal(4)) for line in known.lines)
    world.ledger.orders.keep(replace(known, open=True, lines=lines))


def _promise(world: World) -> None:
    now = world.ledger.clock.now()
    late = Watched("shop-orders", CHOSEN, now.date(), "rule", now - timedelta(days=1), now, "late", now)
    world.ledger.watches.keep(late, None)


def names(world: World) -> dict[str, list[Any]]:
    """What is there, by the name of the parameter, or by operation and name."""
    jobs = world.ledger.jobs.list(limit=100)
    return {
        "job_id": [job.id for job in jobs],
        "/jobs/{job_id}/choice job_id": [world.job(CHOSEN).id],
        "problem_id": [one.id for one in Problems(world.ledger.db).open()],
        "number": [*(job.number for job in jobs), *(job.key for job in jobs)],
        "/stock/alerts/{number}/snooze number": [one.id for one in world.ledger.stock.alerts.listed()],
        "delivery_id": [1, 2, 3],
        "run_id": [1, 2],
        "review_id": [1],
        "kind": ["order", "invoice"],
        "flow": ["shop-orders", "nothing"],
        "key": [job.key for job in jobs],
        "/papers/{kind}/{flow}/{key} flow": ["shop-orders"],
        "/papers/{kind}/{flow}/{key} key": [CHOSEN],
        "stock": ["goods", "nothing"],
        "name": ["crm", "shop", "shop-orders", "poll/shop", "bulk"],
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: operation, what its address names, what it asks, what it sends (None: nothing)."""

    method: str
    path: str
    named: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None


def answered_well(world: World, ask: Callable[[Asked], Any]) -> None:
    """Ask each operation something that makes sense in the world of `fill`. `ask` gives the answer's JSON."""
    job, jobs = world.job, "/jobs/{job_id}"
    for path in ("/alerts", "/assignees", "/audit", "/bulk", "/connections", "/deliveries", "/flows", "/jobs", "/openapi.json",
                 "/orders", "/problems", "/problems-ended", "/reviews", "/runs", "/schedules", "/status", "/workers"):  # fmt: skip
        ask(Asked("get", path))
    _ask_goods(world, ask)
    chosen = {"job_id": job(CHOSEN).id}
    [conflict] = ask(Asked("get", jobs, chosen))["conflicts"]
    ask(Asked("post", f"{jobs}/choice", chosen, body={"choice": "store", "conflicts": [conflict["id"]]}))
    ask(Asked("get", "/orders/{number}", {"number": CHOSEN}))
    ask(Asked("get", "/deliveries/{delivery_id}", {"delivery_id": 1}))
    for kind in ("order", "invoice"):
        ask(Asked("get", "/papers/{kind}/{flow}/{key}", {"kind": kind, "flow": "shop-orders", "key": CHOSEN}))
    unbalanced = {"job_id": job("shop/order/5003").id}
    draft = ask(Asked("get", f"{jobs}/edit", unbalanced))
    mended = {"version": draft["version"], "text": draft["text"].replace('"1.00"', f'"{order(5003)["total"]}"')}
    ask(Asked("post", f"{jobs}/edit/check", unbalanced, body=mended))
    ask(Asked("post", f"{jobs}/edit", unbalanced, body={**mended, "reason": "wrong total"}))
    ask(Asked("post", f"{jobs}/dry-run", {"job_id": job("shop/order/12").id}))
    ask(Asked("post", f"{jobs}/retry", {"job_id": job("shop/order/1").id}))
    ask(Asked("post", f"{jobs}/skip", {"job_id": job("shop/order/12").id}, body={"reason": "a test"}))
    _ask_connections(ask)
    _ask_work(ask)
    _ask_problems(world, ask)


def _ask_goods(world: World, ask: Callable[[Asked], Any]) -> None:
    goods, one = {"stock": "goods"}, {"scope": "product", "subject": "X 1", "warehouse": "a/b"}
    page = ask(Asked("get", "/stock/{stock}/levels", goods, {"limit": 1}))
    assert page["next"], "it comes in parts"
    [low] = [it for it in ask(Asked("get", "/stock/alerts"))["data"] if it["sku"] == "LAMP-1"]
    assert low["orders_at_risk"] == [CHOSEN]
    ask(Asked("post", "/stock/alerts/{number}/snooze", {"number": low["id"]}, body={"kind": "delivery"}))
    ask(
        Asked("put", "/stock/{stock}/thresholds", goods, body={**one, "owner": "anna", "minimum": "2.5", "target": "9"})
    )
    assert len(ask(Asked("get", "/stock/{stock}/thresholds", goods))["data"]) == 4
    ask(Asked("delete", "/stock/{stock}/thresholds", goods, one))


def _ask_connections(ask: Callable[[Asked], Any]) -> None:
    crm, poll = {"name": "crm"}, {"name": "post-check/crm"}
    ask(Asked("get", "/connections/{name}", crm))
    for what in ("test", "run", "pause", "resume"):
        ask(Asked("post", f"/connections/{{name}}/{what}", crm, body={"reason": "a test"} if what == "pause" else None))
    ask(Asked("get", "/schedules/{name}", poll))
    for what in ("run", "pause", "resume"):
        ask(Asked("post", f"/schedules/{{name}}/{what}", poll, body={"reason": "a test"} if what == "pause" else None))


def _ask_work(ask: Callable[[Asked], Any]) -> None:
    flow, review = {"name": "shop-orders"}, {"review_id": 1}
    ask(Asked("get", "/flows/{name}", flow))
    rehearsal = {"run_id": ask(Asked("post", "/flows/{name}/rehearse", flow, body={"days": 30}))["id"]}
    for what in ("", "/records"):
        ask(Asked("get", f"/runs/{{run_id}}{what}", rehearsal))
    for what in ("stop", "go-on"):
        ask(Asked("post", f"/runs/{{run_id}}/{what}", rehearsal))
    ask(Asked("post", "/flows/{name}/mode", flow, body={"mode": "paused", "note": "a test"}))
    ask(Asked("post", "/flows/{name}/mode", flow, body={"mode": "live"}))
    [begun] = ask(Asked("get", "/bulk"))["data"]
    ask(Asked("get", "/bulk/{run_id}", {"run_id": begun["id"]}))
    ask(Asked("post", "/bulk/{run_id}/stop", {"run_id": begun["id"]}))
    ask(Asked("get", "/reviews/{review_id}", review))
    ask(Asked("post", "/reviews/{review_id}/decide", review, body={"decision": "new"}))
    ask(Asked("post", "/reviews/{review_id}/undo", review))


def _ask_problems(world: World, ask: Callable[[Asked], Any]) -> None:
    failed = {"state": "held", "q": "shop/order/5005"}
    assert ask(Asked("get", "/jobs/retry", query=failed))["jobs"] == 1
    ask(Asked("post", "/jobs/retry", query=failed, body={"at_most": 1}))
    world.faults(connection_closed=1.0)
    world.deliver(order(31))
    world.drain(fill=False)
    world.faults(connection_closed=0.0)
    found = ask(Asked("get", "/problems"))["data"]
    [outage] = [{"problem_id": one["id"]} for one in found if one["outage"]]
    here, other = ({"problem_id": one["id"]} for one in found if one["error_class"] in {"money", "missing reference"})
    one, until = "/problems/{problem_id}", world.ledger.clock.now() + timedelta(days=1)
    ask(Asked("post", f"{one}/acknowledge", outage, body={"reason": "a test"}))
    for what in ("", "/notes", "/retry", "/skip"):
        ask(Asked("get", one + what, here))
    ask(Asked("post", f"{one}/snooze", here, body={"until": until.isoformat()}))
    ask(Asked("post", f"{one}/wake", here))
    ask(Asked("post", f"{one}/assign", here, body={"to": None}))
    ask(Asked("post", f"{one}/notes", here, body={"text": "a test"}))
    ask(Asked("post", f"{one}/retry", here, body={"at_most": 100}))
    left = ask(Asked("get", f"{one}/skip", other))["jobs"]
    ask(Asked("post", f"{one}/skip", other, body={"reason": "a test", "jobs": left}))
