"""Durable webhooks a second over HTTP, and how quickly each is answered; see benchmarks/README.md.

`PYTHONPATH=. python benchmarks/bench_intake.py [engine=sqlite] [process=web] [per_s=400] [seconds=20]`
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from benchmarks.deliveries import HOOK_SECRET, Delivery, Shop
from benchmarks.installation import cpu_seconds, database, process, stand_in, up, web
from benchmarks.open_loop import Figures, post, prepared
from benchmarks.sending import percentile
from connectors.roles import Request
from connectors.woocommerce import hooks
from core.keys import Change
from core.secrets import SecretRef
from ledger import Ledger, migrate
from ledger.inbox import Route
from tests.servers import PostgresServer

RATE, SECONDS = 400, 20
UP_RATE = 100
WARM, MOST = 400, 2400
THREADS = 8


@dataclass(slots=True)
class Case:
    """What one process reached."""

    sustained: Figures
    most: Figures
    cpu_ms: float
    """Processor time of the product for one delivery, while as many came as it took."""

    def line(self, engine: str, command: str, bare_s: float, accept_s: float) -> str:
        """The line at the end."""
        took = self.sustained.took
        return (
            f"BENCH intake engine={engine} process={command} per_s={self.sustained.per_s:.0f} "
            f"p99_ms={percentile(took, 0.99):.0f} p50_ms={percentile(took, 0.5):.0f} most_s={self.most.per_s:.0f} "
            f"ratio_bare={self.most.per_s / bare_s:.2f} ratio_accept={self.most.per_s / accept_s:.2f} cpu_ms={self.cpu_ms:.2f}"
        )


def kept(url: str) -> int:
    """Orders in the ledger: events, each with its record and its job."""
    engine = sa.create_engine(url)
    query = (
        "SELECT count(*) FROM event e JOIN record r ON r.event_id = e.id JOIN job j ON j.connection = r.connection "
        "AND j.kind = r.kind AND j.record_id = r.record_id"
    )
    try:
        with engine.connect() as connection:
            return int(connection.execute(sa.text(query)).scalar_one())
    finally:
        engine.dispose()


def measure(shop: Shop, url: str, at: str, pid: int, rate: float, seconds: float) -> Case:
    """Warm up, as much as it takes, then at the rate. Fails when what was answered is not in the ledger."""
    post(at, prepared(at, shop.orders(WARM, new_share=1)), 0)
    requests = prepared(at, shop.orders(MOST, new_share=1))
    cpu = cpu_seconds(pid)
    most = post(at, requests, 0)
    cpu = (cpu_seconds(pid) - cpu) / MOST
    requests = prepared(at, shop.orders(round(rate * seconds), new_share=1))
    sustained = post(at, requests, rate)
    answered = WARM + MOST + len(requests)
    if kept(url) != answered:
        raise RuntimeError(f"{answered} deliveries were answered, {kept(url)} are in the ledger")
    generator = (most.cpu / MOST * 1000, sustained.cpu / len(requests) * 1000)
    shares = ", ".join(
        f"{percentile(sustained.took, share):.0f} ms for {share:.1%}" for share in (0.5, 0.9, 0.99, 0.999)
    )
    print(
        f"  at most {most.per_s:.0f}/s with {cpu * 1000:.2f} ms of processor each (generator {generator[0]:.2f}); "
        f"at {rate:.0f}/s for {seconds:.0f} s: {shares} (generator {generator[1]:.2f} ms)",
        flush=True,
    )
    return Case(sustained, most, cpu * 1000)


def bare(folder: Path, shop: Shop) -> float:
    """Answers a second of an application that keeps nothing, behind the same server."""
    with process(["benchmarks/bare_web.py"], folder / "bare.log", PYTHONPATH=".") as (at, pid):
        requests = prepared(at, shop.orders(MOST, new_share=1))
        post(at, requests[:WARM], 0)
        cpu = cpu_seconds(pid)
        found = post(at, requests, 0)
        print(
            f"  bare 200: {found.per_s:.0f}/s, {(cpu_seconds(pid) - cpu) / MOST * 1000:.2f} ms of processor", flush=True
        )
    return found.per_s


def accepted(url: str, shop: Shop) -> float:
    """Deliveries a second that the ledger alone takes from so many threads, without HTTP and signatures."""
    ledger = Ledger.open(url)
    try:
        migrate.upgrade(ledger.db)
        changes = [_read(delivery) for delivery in shop.orders(MOST, new_share=1)]
        _accept(ledger, changes[:WARM])
        began, cpu = time.perf_counter(), time.process_time()
        threads = [
            threading.Thread(target=_accept, args=(ledger, changes[WARM:][number::THREADS]))
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        count = MOST - WARM
        found = count / (time.perf_counter() - began)
        print(
            f"  ledger alone: {found:.0f}/s, {(time.process_time() - cpu) / count * 1000:.2f} ms of processor",
            flush=True,
        )
        return found
    finally:
        ledger.close()


def _read(delivery: Delivery) -> Change:
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    request = Request("POST", headers, delivery.body, datetime.now(UTC))
    [change] = hooks.receive("shop", request, (SecretRef("env:BENCHMARK_HOOK_SECRET"),))
    return change


def _accept(ledger: Ledger, changes: Sequence[Change]) -> None:
    for change in changes:
        ledger.inbox.accept([change], lambda _key: (Route("orders", "crm"),))


@contextlib.contextmanager
def product(command: str, folder: Path, url: str) -> Iterator[tuple[str, int]]:
    """`web` takes deliveries only; `up` carries them into a CRM at the same time."""
    if command == "web":
        with web(folder, url) as started:
            yield started
        return
    with stand_in(folder, php=8) as crm, up(folder, url, crm, THREADS) as started:
        yield started


def main(arguments: list[str]) -> None:
    """All cases, or those that the arguments name."""
    chosen = dict(argument.split("=", 1) for argument in arguments)
    rate, seconds = float(chosen.get("per_s", RATE)), float(chosen.get("seconds", SECONDS))
    os.environ["BENCHMARK_HOOK_SECRET"] = HOOK_SECRET
    lines = []
    for engine in ("sqlite", "postgresql"):
        if chosen.get("engine", engine) != engine:
            continue
        with PostgresServer(durable=True) if engine == "postgresql" else contextlib.nullcontext() as postgres:
            lines += _engine(engine, postgres, chosen.get("process", ""), rate, seconds)
    print("\n".join(lines))


def _engine(engine: str, postgres: PostgresServer | None, command: str, rate: float, seconds: float) -> list[str]:
    shop, lines = Shop(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(engine, flush=True)
        bare_s = bare(folder, shop)
        with database(folder, postgres) as url:
            accept_s = accepted(url, shop)
        for one, its_rate in (("web", rate), ("up", min(rate, UP_RATE))):
            if command not in {"", one}:
                continue
            print(f"{engine}, orderwire {one}", flush=True)
            with database(folder, postgres) as url, product(one, folder, url) as (at, pid):
                lines.append(measure(shop, url, at, pid, its_rate, seconds).line(engine, one, bare_s, accept_s))
    return lines


if __name__ == "__main__":
    main(sys.argv[1:])
