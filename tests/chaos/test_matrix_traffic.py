"""The matrix, rows R12, R13, R17, R18 and R19: deliveries that repeat, collide, are missing, or are poison."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.store import woo
from tests.chaos.conftest import MakeCase, MakeFleet, engine_of, selling
from tests.chaos.harness.case import wait, while_it_goes_on
from tests.chaos.harness.fleet import Fleet, Plan
from tests.chaos.harness.poison import PoisonStore
from tests.chaos.harness.scale import limit, scale
from tests.chaos.harness.shop import HOOK_SECRET, Orders, Shop, Version, post

pytestmark = pytest.mark.chaos

both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


def plan_for(engine: str, **over: Any) -> Plan:
    return Plan(workers=0 if engine == "sqlite" else 2, **over)


# -- R12 ---------------------------------------------------------------------------------------------------------------


def shuffled(dice: random.Random, versions: list[Version], within: int) -> list[Version]:
    """Nothing is further than so many places from where it was."""
    return [
        version
        for _, version in sorted(
            ((n + dice.uniform(0, within), version) for n, version in enumerate(versions)), key=lambda pair: pair[0]
        )
    ]


@pytest.mark.timeout(limit(240))
@both
def test_r12_repeated_reordered_old_after_new(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    engine = engine_of(database_url)
    this = case("R12", engine=engine)
    orders = scale(500, 3000)
    dice = random.Random(seed)
    versions = Orders(seed).mixed(orders, customers=orders // 2, updated=0.5)
    newest = {version.id: version for version in versions}
    deleted = [Version("shop", id, 0, 0, {}, deletion=True) for id in dice.sample(sorted(newest), orders // 10)]
    deliveries = [version for version in versions for _ in range(dice.randint(1, 20))]
    for hint in deleted:  # deleted, brought back, updated: in any order
        deliveries.insert(dice.randrange(len(deliveries)), hint)
    with (
        installation(database_url, plan_for(engine, store=True)) as fleet,
        selling(fleet, senders=8) as shop,
    ):
        fleet.list_in_store([version.document for version in newest.values()])
        shop.send(shuffled(dice, deliveries, 100))
        shop.sent(150)
        while_it_goes_on(fleet, lambda: fleet.jobs.counts().get("settled", 0) >= orders * 0.9)
        found = this.settle(fleet, shop)
        this.passes(orders, found, deliveries=len(deliveries), deletions=len(deleted))


# -- R13 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(240))
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("php", [7, 8])
def test_r13_many_first_orders_of_one_customer_through_two_shops(
    database_url: str, php: int, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    this = case("R13", engine=engine_of(database_url))
    customers, each = scale(20, 200) // 2, 50  # half on each of the two ways in which vtiger makes customers
    nowhere = "http://127.0.0.1:9"
    shops = (Orders(seed), Orders(seed + 1, shop="shop2", first_id=500_000))
    versions = [shops[n % 2].new(customer) for customer in range(1, customers + 1) for n in range(each)]
    plan = Plan(workers=3, threads=6, php=php, shops={"shop": nowhere, "shop2": nowhere})
    with installation(database_url, plan) as fleet, selling(fleet, senders=8) as shop:
        fleet.faults_on(seed)
        shop.send(versions)
        shop.sent(120)
        while_it_goes_on(fleet, lambda: fleet.jobs.counts().get("settled", 0) >= len(versions) * 0.9)
        found = this.settle(fleet, shop)
        this.passes(len(versions), found, customers=customers, php=php)


# -- R17 ---------------------------------------------------------------------------------------------------------------

POISON = {1: "crash", 2: "drip", 3: "huge", 4: "money", 5: "currency"}


def poison(kind: str, version: Version) -> tuple[dict[str, str], bytes]:
    """A delivery that cannot be carried."""
    if kind in {"crash", "drip", "huge"}:  # a hint: the product asks the shop itself
        return woo.delivery({"id": version.id}, "order.restored", HOOK_SECRET)
    changed = dict(version.document)
    if kind == "money":
        changed["total"] = "1.00"
    if kind == "currency":
        changed["currency"] = "XAU"
    return woo.delivery(changed, "order.created", HOOK_SECRET)


def kill_whoever_runs(fleet: Fleet, ids: list[int], stop: threading.Event) -> None:
    """These orders end whatever process carries them."""
    wanted = ",".join(f"'{id}'" for id in ids)
    query = f"SELECT worker FROM job WHERE state = 'running' AND record_id IN ({wanted})"  # noqa: S608
    while not stop.wait(0.02):
        for (worker,) in fleet.jobs.rows(query):
            pid = int(worker.split(":")[1])
            for name in fleet.workers:
                if name in fleet.children and fleet.children[name].pid == pid:
                    fleet.restart(name)


@pytest.mark.timeout(limit(200))
@both
def test_r17_poison_among_good_orders(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    engine = engine_of(database_url)
    this = case("R17", engine=engine)
    good, copies = 200, scale(1, 50)
    made = Orders(seed)
    versions = made.mixed(good, customers=good // 2)
    bad = {kind: [made.new(900_000 + n) for _ in range(copies)] for n, kind in POISON.items()}
    with (
        PoisonStore(
            [v.id for v in bad["drip"]],
            [v.id for v in bad["huge"]],
            {v.id: v.document for v in bad["crash"]},
        ) as store,
        installation(database_url, plan_for(engine, shops={"shop": store.url}, max_failures=2)) as fleet,
        selling(fleet) as shop,
    ):
        stop = threading.Event()
        killer = threading.Thread(target=kill_whoever_runs, args=(fleet, [v.id for v in bad["crash"]], stop))
        killer.start()
        try:
            for kind, group in bad.items():
                for version in group:
                    message = poison(kind, version)
                    assert wait(lambda message=message: post(fleet.web_url, "/hooks/shop", *message) == 200, 90)  # type: ignore[misc]
            shop.send(versions)
            began = time.monotonic()
            assert wait(lambda: fleet.supervise() is not None and done(fleet) >= good, 90), "poison stops the good ones"
            good_after = time.monotonic() - began
            wait(lambda: fleet.supervise() is not None and not fleet.jobs.moving(), 90)
        finally:
            stop.set()
            killer.join(60)
        found = this.settle(fleet, shop)
        held = reasons(fleet, bad)
        found.unsettled -= sum(held.values())
        this.passes(good, found, poison=len(POISON) * copies, held=sum(held.values()), good_after=round(good_after))
        assert held == dict.fromkeys(POISON.values(), copies), f"{held}: {fleet.jobs.examples()}"


def done(fleet: Fleet) -> int:
    return fleet.jobs.counts().get("settled", 0)


def reasons(fleet: Fleet, bad: dict[str, list[Version]]) -> dict[str, int]:
    """How many of each kind are held, with a reason that ends in what to do."""
    rows = fleet.jobs.rows("SELECT record_id, reason FROM job WHERE state = 'held'")
    held = {record for record, reason in rows if "What to do:" in reason}
    return {kind: sum(str(version.id) in held for version in group) for kind, group in bad.items()}


# -- R18 ---------------------------------------------------------------------------------------------------------------

POLL = 5.0


@pytest.mark.timeout(limit(150))
@both
def test_r18_webhooks_are_dropped_and_the_poll_finds_all(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    """First 30 % of the webhooks get lost; then the shop has switched the hook off for six hours."""
    engine = engine_of(database_url)
    this = case("R18", engine=engine)
    orders = scale(300, 3000)
    dice = random.Random(seed)
    now = datetime.now(UTC)
    made = Orders(seed, start=now - timedelta(hours=7))
    first = []
    for n in range(orders * 2 // 3):
        made.start = now - timedelta(hours=7, seconds=-n)
        first.append(made.new(1 + n % 100))
    second = []
    for n in range(orders // 3):
        made.start = now - timedelta(seconds=6 * 3600 * (1 - 3 * n / orders))
        second.append(made.new(1 + n % 100))
    with (
        installation(database_url, plan_for(engine, store=True, poll=POLL)) as fleet,
        selling(fleet) as shop,
    ):
        waves = [one_wave(fleet, shop, first, [v for v in first if dice.random() >= 0.3])]
        waves.append(one_wave(fleet, shop, second, []))
        found = this.settle(fleet, shop)
        this.passes(orders, found, poll=POLL, found_after=f"{max(took for took, _ in waves):.1f}")
        # The first poll that begins after the store has them finds all; another may end before this is seen.
        assert max(polls for _, polls in waves) <= 2, f"(seconds, polls) until all were found: {waves}"


def one_wave(fleet: Fleet, shop: Shop, versions: list[Version], delivered: list[Version]) -> tuple[float, int]:
    """The shop has these orders and tells of some. Seconds, and polls begun since, until the inbox has all."""
    fleet.list_in_store([version.document for version in versions])
    began, since = time.monotonic(), int(time.time() * 1e6)
    shop.send(delivered)
    for version in versions:
        shop.note(version)
    ids = {str(version.id) for version in versions}
    assert wait(lambda: ids <= {row[0] for row in fleet.jobs.rows("SELECT record_id FROM record")}, 60), "not all came"
    took = time.monotonic() - began
    polls = fleet.jobs.rows(
        "SELECT count(*) FROM schedule_run WHERE name = 'poll/shop' AND started_at >= :since", since=since
    )[0][0]
    shop.sent(120)
    return took, int(polls)


# -- R19 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(120))
@both
def test_r19_one_second_one_delivery_id(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    """A burst within one second shares WooCommerce's delivery id; some orders even change twice within it."""
    engine = engine_of(database_url)
    this = case("R19", engine=engine)
    orders = scale(100, 500)
    made = Orders(seed)
    first = [made.new(1 + n % 40) for n in range(orders)]
    again = [made.version(version.id, 2, version.customer) for version in first[::5]]
    for version in again:
        version.document["date_modified_gmt"] = first[0].document["date_modified_gmt"]
    newest = {version.id: version for version in (*first, *again)}
    with (
        installation(database_url, plan_for(engine, store=True)) as fleet,
        selling(fleet, senders=8) as shop,
    ):
        shop.at = datetime.now(UTC)
        ids = {version.delivery(shop.at)[0]["X-WC-Webhook-Delivery-ID"] for version in first}
        assert len(ids) == 1
        fleet.list_in_store([version.document for version in newest.values()])
        shop.send([*first, *again])
        shop.sent(120)
        found = this.settle(fleet, shop)
        this.passes(orders, found, changed_twice=len(again))
