"""Orders a second, beside a bare script that makes the same calls; see benchmarks/README.md.

    PYTHONPATH=. python benchmarks/bench_orders.py [engine=sqlite] [crm_ms=0] [orders=300]
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from benchmarks.bare import Script
from benchmarks.deliveries import Delivery, Shop
from benchmarks.product import ACCESS_KEY
from benchmarks.sending import at_rate, flood, percentile
from tests.servers import PostgresServer

THREADS = 8
KNOWN = 40
NEW_SHARE = 0.1
ORDERS = {0: 500, 50: 300}
ROUNDS = {0: 2, 50: 1}
RATE, RATE_SECONDS = 50, 8
GIVE_UP = 120.0
PRODUCTS = [
    {"productname": "Unknown article", "productcode": "OW-UNKNOWN", "unit_price": "0"},
    {"productname": "Fee", "productcode": "OW-FEE", "unit_price": "0"},
]
ASIDE = frozenset({"getchallenge", "login", "describe"})


@dataclass(slots=True)
class Case:
    """What one case measured."""

    ratios: list[float]
    orders_s: float
    bare_s: float
    accept: list[float]
    rss_mb: float
    calls_new: int
    calls_known: int

    def line(self, engine: str, crm_ms: int) -> str:
        """The line at the end."""
        return (
            f"BENCH orders engine={engine} crm_ms={crm_ms} ratio={statistics.median(self.ratios):.2f} "
            f"orders_s={self.orders_s:.0f} accept_p99_ms={percentile(self.accept, 0.99):.0f} rss_mb={self.rss_mb:.0f} "
            f"calls_new={self.calls_new} calls_known={self.calls_known}"
        )


# -- processes -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def process(arguments: list[str], log: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A Python process that prints its address first; ended by SIGTERM."""
    with log.open("ab") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": ".", **environment},
        )
    assert child.stdout is not None
    try:
        said = child.stdout.readline()
        if "http://" not in said:
            raise RuntimeError(f"{arguments[0]} did not start:\n{log.read_text()[-3000:]}")
        yield "http://" + said.strip().partition("http://")[2], child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def stand_in(folder: Path, *, php: int = 7) -> Iterator[str]:
    """The sandbox CRM in a process of its own."""
    options = ["sandbox", "crm", "--port", "0", "--access-key-env", "BENCHMARK_CRM_KEY"]
    with process(options, folder / "crm.log", BENCHMARK_CRM_KEY=ACCESS_KEY) as (url, _):
        httpx.post(f"{url}/sandbox/seed", json={"products": PRODUCTS}).raise_for_status()
        httpx.post(f"{url}/sandbox/switches", json={"php": php}).raise_for_status()
        yield url


@contextlib.contextmanager
def database(engine: str, folder: Path, postgres: PostgresServer | None) -> Iterator[str]:
    """An empty database of this engine, as durable as in production."""
    if postgres is None:
        yield f"sqlite:///{folder / f'{engine}.db'}"
        return
    with postgres.fresh_database() as url:
        yield url


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


def measure(engine: str, crm_ms: int, orders: int, postgres: PostgresServer | None) -> Case:
    """One case: bare script and product in turn against one stand-in, then the open-loop run."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        crm = stack.enter_context(stand_in(folder))
        url = stack.enter_context(database(engine, folder, postgres))
        arguments = ["benchmarks.product", url, crm, str(THREADS)]
        with process(arguments, folder / "product.log") as (product, child), contextlib.closing(Watch(url)) as watch:
            shop = Shop()
            with Script(crm, THREADS) as script:
                warm_up(shop, product, watch, script)
                httpx.post(f"{crm}/sandbox/faults", json={"latency_ms": crm_ms}).raise_for_status()
                case = compare(shop, product, watch, script, orders, ROUNDS[crm_ms], child.pid)
            case.accept = at_rate(product, shop.orders(RATE * RATE_SECONDS, new_share=NEW_SHARE), RATE)
            case.rss_mb = peak_memory(child.pid)
        return case


def warm_up(shop: Shop, product: str, watch: Watch, script: Script) -> None:
    """The known customers' first orders, on both sides; product caches fill here."""
    first = shop.first_orders(KNOWN)
    flood(product, first)
    watch.all_settled(first[0].id, len(first))
    script.run(script.prepare(first))


def compare(shop: Shop, product: str, watch: Watch, script: Script, orders: int, rounds: int, pid: int) -> Case:
    """Both in turn, so that what else the machine does falls on both."""
    ratios: list[float] = []
    ours: list[float] = []
    bare: list[float] = []
    calls: dict[bool, list[int]] = {True: [], False: []}
    for _ in range(rounds):
        deliveries = shop.orders(orders // rounds, new_share=NEW_SHARE)
        works = script.prepare(deliveries)
        bare_cpu = time.process_time()
        took = script.run(works)
        bare_cpu = time.process_time() - bare_cpu
        own_cpu = cpu_seconds(pid)
        began, taken = flood(product, deliveries)
        ended = watch.all_settled(deliveries[0].id, len(deliveries))
        own_cpu = cpu_seconds(pid) - own_cpu
        count = len(deliveries)
        print(
            f"  bare {count / took:.0f}/s ({bare_cpu / count * 1000:.1f} ms CPU an order), product "
            f"{count / (ended - began):.0f}/s ({own_cpu / count * 1000:.1f} ms), taken in {taken - began:.1f} s",
            flush=True,
        )
        bare.append(len(deliveries) / took)
        ours.append(len(deliveries) / (ended - began))
        ratios.append(ours[-1] / bare[-1])
        counted = watch.calls(deliveries)
        for item in deliveries:
            calls[item.new_customer].append(counted[item.id])
    return Case(ratios, statistics.median(ours), statistics.median(bare), [], 0.0, max(calls[True]), max(calls[False]))


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> float:
    """MB that the process had resident at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell the peak memory")


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
                case = measure(engine, crm_ms, int(chosen.get("orders", ORDERS[crm_ms])), postgres)
                lines.append(case.line(engine, crm_ms))
    print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
