"""Orders a second, beside a bare script that makes the same calls; see benchmarks/README.md.

`PYTHONPATH=. python benchmarks/bench_orders.py [engine=sqlite] [crm_ms=0] [orders=300]`
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from benchmarks.bare import Script
from benchmarks.deliveries import Delivery, Shop
from benchmarks.installation import cpu_seconds, database, peak_memory, stand_in, up
from benchmarks.sending import at_rate, flood, percentile
from tests.servers import PostgresServer

THREADS = 8
KNOWN = 40
NEW_SHARE = 0.1
ORDERS = {0: 600, 50: 300}
ROUNDS = {0: 3, 50: 1}
RATE, RATE_SECONDS = 50, 8
GIVE_UP = 120.0
ASIDE = frozenset({"getchallenge", "login", "describe"})


@dataclass(slots=True)
class Case:
    """What one case measured. `pairs`: orders a second of the product and of the bare script, by round."""

    pairs: list[tuple[float, float]]
    calls_new: int
    calls_known: int
    accept: list[float] = field(default_factory=list)
    rss_mb: float = 0.0

    def line(self, engine: str, crm_ms: int) -> str:
        """The line at the end; medians over the rounds."""
        ratio = statistics.median(ours / bare for ours, bare in self.pairs)
        return (
            f"BENCH orders engine={engine} crm_ms={crm_ms} ratio={ratio:.2f} "
            f"orders_s={statistics.median(ours for ours, _ in self.pairs):.0f} "
            f"accept_p99_ms={percentile(self.accept, 0.99):.0f} rss_mb={self.rss_mb:.0f} "
            f"calls_new={self.calls_new} calls_known={self.calls_known}"
        )


# -- the ledger as the benchmark sees it ---------------------------------------------------------------------------


class Watch:
    """Reads the ledger from outside, without a write lock."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite"):
            url = f"{url.replace('sqlite:///', 'sqlite:///file:')}?mode=ro&uri=true"
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()

    def all_settled(self, first_id: int, count: int) -> float:
        """Wait until these orders are settled; the moment of the last, seconds of the epoch."""
        deadline = time.monotonic() + GIVE_UP
        query = sa.text(
            "SELECT count(*), max(updated_at) FROM job WHERE state = 'settled' AND CAST(record_id AS integer) >= :first"
        )
        while True:
            with self._engine.connect() as connection:
                settled, last = connection.execute(query, {"first": first_id}).one()
            if settled >= count:
                return float(last) / 1e6
            if time.monotonic() > deadline:
                raise RuntimeError(f"Only {settled} of {count} orders were settled: {self.others()}")
            time.sleep(0.1)

    def others(self) -> list[Any]:
        """Jobs that are not settled, for the error's text."""
        with self._engine.connect() as connection:
            query = "SELECT record_id, state, error_class, reason FROM job WHERE state <> 'settled' LIMIT 5"
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def calls(self, deliveries: list[Delivery]) -> dict[int, int]:
        """Calls by order, login and descriptions apart (they are remembered between orders)."""
        wanted = {str(item.id): item.id for item in deliveries}
        query = "SELECT job.record_id, attempt.calls FROM attempt JOIN job ON job.id = attempt.job_id"
        found: dict[int, int] = {}
        with self._engine.connect() as connection:
            for record, calls in connection.execute(sa.text(query)):
                if record in wanted:
                    made = [call for call in json.loads(calls or "[]") if call["operation"] not in ASIDE]
                    found[wanted[record]] = found.get(wanted[record], 0) + len(made)
        return found


# -- measuring -----------------------------------------------------------------------------------------------------


def measure(crm_ms: int, orders: int, postgres: PostgresServer | None) -> Case:
    """One case: bare script and product in turn against one stand-in, then the open-loop run."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        crm = stack.enter_context(stand_in(folder, php=7))
        url = stack.enter_context(database(folder, postgres))
        product, pid = stack.enter_context(up(folder, url, crm, THREADS))
        watch = stack.enter_context(contextlib.closing(Watch(url)))
        script = stack.enter_context(Script(crm, THREADS))
        run = Run(Shop(), product, pid, watch, script)
        run.warm_up()
        httpx.post(f"{crm}/sandbox/faults", json={"latency_ms": crm_ms}).raise_for_status()
        case = run.compare(orders, ROUNDS[crm_ms])
        case.accept = at_rate(product, run.shop.orders(RATE * RATE_SECONDS, new_share=NEW_SHARE), RATE)
        case.rss_mb = peak_memory(pid)
        shares = ", ".join(f"{percentile(case.accept, share):.0f} ms for {share:.0%}" for share in (0.5, 0.9, 0.99))
        print(
            f"  at {RATE} deliveries a second: answered within {shares}; peak memory {case.rss_mb:.0f} MB", flush=True
        )
        return case


def calls_without_conversion() -> tuple[int, int]:
    """Calls for a new and a known customer where leads cannot be converted (vtiger 8.2 on PHP 8)."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        crm = stack.enter_context(stand_in(folder, php=8))
        url = stack.enter_context(database(folder, None))
        product, _ = stack.enter_context(up(folder, url, crm, THREADS))
        watch = stack.enter_context(contextlib.closing(Watch(url)))
        shop, calls = Shop(), Calls()
        for deliveries in (shop.first_orders(KNOWN), shop.orders(KNOWN, new_share=0.5)):
            flood(product, deliveries)
            watch.all_settled(deliveries[0].id, len(deliveries))
        calls.add(deliveries, watch.calls(deliveries))
        return max(calls.new), max(calls.known)


class Calls:
    """How many calls orders took."""

    def __init__(self) -> None:
        self.new: list[int] = []
        self.known: list[int] = []

    def add(self, deliveries: list[Delivery], counted: dict[int, int]) -> None:
        """These orders' calls, by their ids."""
        for item in deliveries:
            (self.new if item.new_customer else self.known).append(counted[item.id])


@dataclass(slots=True)
class Run:
    """Both sides of a comparison, against one stand-in."""

    shop: Shop
    product: str
    pid: int
    watch: Watch
    script: Script

    def warm_up(self) -> None:
        """The known customers' first orders, on both sides; what both remember is remembered here."""
        first = self.shop.first_orders(KNOWN)
        flood(self.product, first)
        self.watch.all_settled(first[0].id, len(first))
        self.script.run(self.script.prepare(first))

    def compare(self, orders: int, rounds: int) -> Case:
        """Both in turn, so that what else the machine does falls on both."""
        pairs: list[tuple[float, float]] = []
        calls = Calls()
        for _ in range(rounds):
            deliveries = self.shop.orders(orders // rounds, new_share=NEW_SHARE)
            count = len(deliveries)
            works = self.script.prepare(deliveries)
            cpu = time.process_time()
            bare = count / self.script.run(works)
            cpu = (time.process_time() - cpu) / count
            own_cpu = cpu_seconds(self.pid)
            began, taken = flood(self.product, deliveries)
            ours = count / (self.watch.all_settled(deliveries[0].id, count) - began)
            own_cpu = (cpu_seconds(self.pid) - own_cpu) / count
            print(
                f"  bare {bare:.0f}/s with {cpu * 1000:.1f} ms of processor an order; product {ours:.0f}/s with "
                f"{own_cpu * 1000:.1f} ms; all taken after {taken - began:.1f} s",
                flush=True,
            )
            pairs.append((ours, bare))
            calls.add(deliveries, self.watch.calls(deliveries))
        return Case(pairs, max(calls.new), max(calls.known))


def main(arguments: list[str]) -> None:
    """All cases, or those that the arguments name."""
    chosen = dict(argument.split("=", 1) for argument in arguments)
    lines = []
    for engine in ("sqlite", "postgresql"):
        if chosen.get("engine", engine) != engine:
            continue
        with PostgresServer(durable=True) if engine == "postgresql" else contextlib.nullcontext() as postgres:
            for crm_ms in (0, 50):
                if chosen.get("crm_ms", str(crm_ms)) != str(crm_ms):
                    continue
                print(f"{engine}, CRM answers after {crm_ms} ms", flush=True)
                case = measure(crm_ms, int(chosen.get("orders", ORDERS[crm_ms])), postgres)
                lines.append(case.line(engine, crm_ms))
    new, known = calls_without_conversion()
    print("\n".join(lines))
    print(f"BENCH calls php=8 calls_new={new} calls_known={known}")


if __name__ == "__main__":
    main(sys.argv[1:])
