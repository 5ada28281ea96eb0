"""Adopting a year of orders: what it asks of the CRM, and how long it takes; see benchmarks/README.md.

`PYTHONPATH=. python benchmarks/bench_adopt.py [engine=sqlite] [orders=8000] [crm_ms=0]`
"""

from __future__ import annotations

import contextlib
import resource
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx

from benchmarks.installation import database
from ledger.runs import RunView
from pipelines.adopt import adopt
from pipelines.linking import link_customers
from sandbox.store.woo import WooShop
from tests.scenario import ERP_FIELD, FULL, SHOP, VAT_FIELD, Scenario, scenario, seed_crm, seed_store
from tests.servers import PostgresServer
from tests.shops import shop
from tests.world import World, crm

SEED = 7
ASKED = ("query", "retrieve", "describe", "listtypes", "sync")


def main(arguments: list[str]) -> None:
    """Both engines, or the one that the arguments name."""
    chosen = dict(argument.split("=", 1) for argument in arguments)
    made = scenario(SEED, replace(FULL, orders=int(chosen.get("orders", FULL.orders))))
    lines = []
    for engine in ("sqlite", "postgresql"):
        if chosen.get("engine", engine) != engine:
            continue
        with PostgresServer(durable=True) if engine == "postgresql" else contextlib.nullcontext() as postgres:
            lines.append(measure(engine, made, int(chosen.get("crm_ms", "0")), postgres))
    print("\n".join(lines))


def measure(engine: str, made: Scenario, crm_ms: int, postgres: PostgresServer | None) -> str:
    """The line of one engine."""
    settings = {"vat_field": VAT_FIELD, "erp_number_field": ERP_FIELD}
    with tempfile.TemporaryDirectory() as name, crm() as (_, crm_url), shop() as (face, url):
        ids = seed_crm(crm_url, made)
        seed_store(face, made)
        httpx.post(f"{crm_url}/sandbox/faults", json={"latency_ms": crm_ms}).raise_for_status()
        with (
            database(Path(name), postgres) as database_url,
            World(database_url, crm_url, rehearsing=True, crm=settings, shops={SHOP: {"url": url}}) as world,
        ):
            return _measured(engine, made, world, face, ids)


def _measured(engine: str, made: Scenario, world: World, face: WooShop, ids: dict[str, str]) -> str:
    flow = world.context.flows[f"{SHOP}-orders"]
    since = made.sizes.first - timedelta(days=1)
    world.forget_calls()
    before = time.perf_counter()
    linked = link_customers(world.context, flow, since)
    print(
        f"  {engine}: customers linked in {time.perf_counter() - before:.1f} s: {_counted(world, linked)}", flush=True
    )
    world.forget_calls()
    before = time.perf_counter()
    run = adopt(world.context, flow, since)
    seconds = time.perf_counter() - before
    calls = world.calls()["operations"]
    queries = sum(calls.get(name, 0) for name in ASKED)
    print(
        f"  {engine}: orders: {_counted(world, run)}; calls {dict(calls)}; peak memory {_megabytes():.0f} MB",
        flush=True,
    )
    _judge(made, world, ids)
    orders = len(face.orders)
    if world.writes() or queries * 1000 > 100 * orders:
        raise RuntimeError(f"{queries} queries for {orders} orders, {world.writes()} writes: more than agreed")
    return f"BENCH adopt engine={engine} orders={orders} queries={queries} seconds={seconds:.1f}"


def _counted(world: World, run: RunView) -> str:
    return ", ".join(f"{one.verdict} {one.count} {one.currency}".strip() for one in world.ledger.runs.sums(run.id))


def _megabytes() -> float:
    """Of this process, in which stand-ins and the store's orders are as well."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _judge(made: Scenario, world: World, ids: dict[str, str]) -> None:
    """A quick result that is wrong is none."""
    truth = {key: ids[handle] for key, handle in made.truth.orders.items()}
    keys = [f"{SHOP}/order/{one['id']}" for one in made.orders]
    linked: dict[str, str] = {}
    for start in range(0, len(keys), 500):
        found = world.ledger.links.find("crm", "order", keys[start : start + 500])
        linked |= {key: link.remote_id for key, link in found.items()}
    wrong = [key for key, remote in linked.items() if truth.get(key) != remote]
    asked = {one.key: {c.id for c in one.candidates} for one in world.ledger.reviews.list(kind="order")}
    missed = [key for key in truth if key not in linked and truth[key] not in asked.get(key, ())]
    print(
        f"  {len(linked)} linked, {len(asked)} asked, {len(wrong)} wrong, {len(missed)} of {len(truth)} missed",
        flush=True,
    )
    if wrong or len(missed) > len(truth) * 0.01:
        raise RuntimeError(f"wrong: {wrong[:5]}, missed: {missed[:5]}")


if __name__ == "__main__":
    main(sys.argv[1:])
