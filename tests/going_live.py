"""A company goes live beside its running systems: rehearse, adopt, link, live, old orders edited, new ones taken, compared."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.roles import Finding, Message
from core.keys import external_id
from pipelines import adopt, golive, linking, polling, reconcile, rehearse, telling
from sandbox.store.woo import WooShop
from tests.mixed import recording
from tests.orders import order
from tests.scenario import ERP_FIELD, SHOP, VAT_FIELD, Scenario, Sizes, scenario, seed_crm, seed_store
from tests.shops import shop
from tests.world import SkippingClock, World, crm

FLOW = f"{SHOP}-orders"
TODAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
WRITES = frozenset({"create", "update", "revise", "delete", "convertlead"})
EDITED, NEW = 50, 60


class Letterbox:
    """A notifier that keeps what it is given."""

    name = "letterbox"

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)

    def check(self) -> list[Finding]:
        return []

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Company:
    """Everything before the first day, and what is found out on the way."""

    world: World
    face: WooShop
    made: Scenario
    ids: dict[str, str]
    dice: random.Random
    letters: Letterbox = field(default_factory=Letterbox)
    seconds: dict[str, float] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)

    @property
    def flow(self) -> Any:
        return self.world.context.flows[FLOW]

    @property
    def truth(self) -> dict[str, str]:
        """Key of a store's order -> id of the sales order that somebody typed for it."""
        return {key: self.ids[handle] for key, handle in self.made.truth.orders.items()}

    def links(self) -> dict[str, str]:
        keys = [f"{SHOP}/order/{id}" for id in self.face.orders]
        found: dict[str, str] = {}
        for start in range(0, len(keys), 500):
            some = self.world.ledger.links.find("crm", "order", keys[start : start + 500])
            found |= {key: link.remote_id for key, link in some.items() if link.linked}
        return found

    def stock(self) -> dict[str, Decimal]:
        return {row["productcode"]: Decimal(row["qtyinstock"]) for row in self.world.records("Products")}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[what] = round(time.monotonic() - began, 1)


@contextmanager
def company(database_url: str, seed: int, sizes: Sizes) -> Iterator[Company]:
    """Store, CRM and an Orderwire that has never been live."""
    made = scenario(seed, sizes)
    clock = SkippingClock((TODAY - datetime.now(UTC)).total_seconds())
    with crm() as (_, crm_url), shop() as (face, url):
        settings = {"vat_field": VAT_FIELD, "erp_number_field": ERP_FIELD}
        with World(
            database_url,
            crm_url,
            rehearsing=True,
            clock=clock,
            crm=settings,
            shops={SHOP: {"url": url}},
            cancel={"shipped": "cancel"},
        ) as world:
            one = Company(world, face, made, seed_crm(crm_url, made), random.Random(seed))
            seed_store(face, made)
            world.context.notifiers = {one.letters.name: one.letters}
            world.forget_calls()
            yield one


def before(one: Company) -> None:
    """The days before: nothing is written, whatever is done."""
    context, year = one.world.context, TODAY - timedelta(days=400)
    with recording(one.world) as asked:
        with one.timed("rehearse"):
            span = rehearse.Span(TODAY - timedelta(days=30), TODAY)
            rehearsed = rehearse.rehearse(context, one.flow, span)
        with one.timed("link"):
            linking.link_customers(context, one.flow, year)
        with one.timed("adopt"):
            adopt.adopt(context, one.flow, year)
    assert not asked.keys() & WRITES
    assert one.world.writes() == 0
    recent = [row for row in one.made.orders if datetime.fromisoformat(row["date_created_gmt"]) >= _naive(span.since)]
    assert rehearsed.counts["orders"] == len(recent) > 0


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def judged(one: Company) -> Counter[str]:
    """No link is wrong; every typed order is linked, or on the list with the right one among its candidates."""
    old = {f"{SHOP}/order/{row['id']}" for row in one.made.orders}
    links, truth = {key: remote for key, remote in one.links().items() if key in old}, one.truth
    assert not {key: remote for key, remote in links.items() if truth.get(key) != remote}, "a wrong link"
    asked = {row.key: {choice.id for choice in row.candidates} for row in one.world.ledger.reviews.list(kind="order")}
    found = Counter[str]()
    for key, remote in truth.items():
        listed = remote in asked.get(key, set())
        found["linked" if links.get(key) == remote else "listed" if listed else "missed"] += 1
    return found


def live(one: Company) -> None:
    """The day: live, old orders edited in the store, new ones taken, and the night after it."""
    world, stock, orders = one.world, one.stock(), world_orders(one)
    golive.go_live(world.ledger, FLOW, TODAY, by="test")
    _edit(one)
    taken = _take(one)
    with one.timed("live"):
        polling.poll(world.context, one.flow)
        world.finish(rounds=200)
    one.world.clock.skip(2 * 3600)  # type: ignore[union-attr]
    with one.timed("nightly"):
        reconcile.nightly(world.context, one.flow)
        world.finish(rounds=400)
    telling.tell(world.ledger, world.context.notifiers, world.context.alerts)
    _nothing_double(one, orders, taken)
    assert one.stock() == stock, "stock moved"


def world_orders(one: Company) -> dict[str, str]:
    """Id -> external id of every sales order over there."""
    return {row["id"]: row.get("cf_external_id", "") for row in one.world.records("SalesOrder")}


def _edit(one: Company) -> None:
    """Half by webhook, half found by the poll; some of them were typed into the CRM, most were not."""
    keys = sorted(one.made.truth.orders)
    typed = [int(key.rpartition("/")[2]) for key in one.dice.sample(keys, min(EDITED // 2, len(keys)))]
    others = [id for id in one.face.orders if f"{SHOP}/order/{id}" not in one.made.truth.orders]
    for place, id in enumerate([*typed, *one.dice.sample(others, EDITED - len(typed))]):
        changed = {**one.face.orders[id], "status": one.dice.choice(("completed", "cancelled", "on-hold"))}
        stamp = f"{TODAY + timedelta(minutes=place):%Y-%m-%dT%H:%M:%S}"
        changed |= {"date_modified_gmt": stamp, "date_modified": stamp}
        one.face.put(changed)
        one.edited.add(f"{SHOP}/order/{id}")
        if place % 2:
            one.world.deliver(changed)


def _take(one: Company) -> list[str]:
    """New orders of customers who have bought before; their keys."""
    first, keys = max(one.face.orders) + 10, []
    for place in range(NEW):
        like = one.dice.choice(one.made.orders)
        stamp = f"{TODAY + timedelta(minutes=1 + place):%Y-%m-%dT%H:%M:%S}"
        made = order(
            first + place,
            [("OF-100", 1 + place % 3, "10.00")],
            billing=like["billing"],
            modified=stamp,
            date_created_gmt=stamp,
            customer_id=like["customer_id"],
            meta={row["key"]: row["value"] for row in like["meta_data"]},
        )
        one.face.put(made)
        one.world.deliver(made)
        keys.append(f"{SHOP}/order/{first + place}")
    return keys


def _nothing_double(one: Company, orders: dict[str, str], taken: list[str]) -> None:
    now, jobs = world_orders(one), {job.key: job for job in one.world.ledger.jobs.list(limit=20_000)}
    assert orders.keys() <= now.keys(), "an order is gone"
    ours = Counter(now[id] for id in now.keys() - orders.keys())
    settled = {key for key in taken if jobs[key].state == "settled"}
    held = {key: jobs[key].reason for key in taken if jobs[key].state == "held"}
    assert ours == Counter(external_id(*key.split("/")) for key in settled), "an old order was created, or one twice"
    assert len(settled) + len(held) == len(taken)
    assert all("Several customers" in reason or "fit" in reason for reason in held.values()), held
    assert len(settled) >= len(taken) / 2
    linked = one.links()
    for key in one.edited:
        state = (jobs[key].state, jobs[key].error_class)
        assert state == ("settled", "") if key in linked else state == ("skipped", "rule before start"), (key, state)
    texts = "\n".join(letter.text for letter in one.letters.messages)
    assert not texts, texts
