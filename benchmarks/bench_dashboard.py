"""The dashboard over a ledger of a million jobs while orders flow; see benchmarks/README.md.

`PYTHONPATH=. python benchmarks/bench_dashboard.py [--small] [engine=sqlite] [jobs=1000000] [rounds=40] [flow=50]`

Every screen is asked for through the real application, in this process, while `flow` orders a second are taken in and settled:
on SQLite by four threads of this process, on PostgreSQL by four of another one. `search`: by order number, by the store's id, by
the number in the CRM, by the customer's address. `tab`: what an open home page adds to the time that a worker needs for an order.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.process
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.engine import URL, make_url

from benchmarks.installation import database
from connectors import vtiger, woocommerce
from core.clock import Clock
from core.emails import email_mark
from core.keys import Change, Key
from core.settings import FlowSettings
from ledger import Ledger, migrate
from ledger import tables as t
from ledger.jobs import Outcome
from pipelines.context import Context
from tests.pages import app_over
from tests.people import logged_in
from tests.servers import PostgresServer
from tests.world import crm_settings, woo_settings

FULL: Final = 1_000_000
SMALL: Final = 50_000
MOST_MS: Final = 300.0
MOST_SEARCH_MS: Final = 200.0
MOST_ADDED: Final = 5.0
TABS, EVERY, TURN, TURNS = 5, 5.0, 4.0, 5
"""Open tabs that ask again every so many seconds; seconds of one turn, and pairs of turns."""
HANDS: Final = 4
"""Threads that take orders in and carry them: one waits for the disk while another works."""
LOOKS: Final = 9
BUYERS: Final = 100
FLOW: Final = "shop-orders"

# One statement a table, the same text on both engines. `i` is the job's number; mod() is not in every SQLite.
_N: Final = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n}) "
_TEXT: Final = "CAST(i AS TEXT)"


def _mod(divisor: int, of: str = "i") -> str:
    return f"({of} - ({of} / {divisor}) * {divisor})"


# 0.3 % held, 0.5 % waiting of which a fifth failed, 1 % skipped, the rest settled.
_STATE: Final = (
    f"CASE WHEN {_mod(1000)} < 3 THEN 'held' WHEN {_mod(1000)} < 8 THEN 'waiting' "
    f"WHEN {_mod(1000)} < 18 THEN 'skipped' ELSE 'settled' END"
)
_CLASS: Final = (
    f"CASE WHEN {_mod(1000)} = 0 THEN 'money' WHEN {_mod(1000)} = 1 THEN 'missing reference' "
    f"WHEN {_mod(1000)} = 2 THEN 'validation/value' WHEN {_mod(1000)} = 3 THEN 'remote 5xx' "
    f"WHEN {_mod(1000)} BETWEEN 8 AND 17 THEN 'rule test' ELSE '' END"
)
_REASON: Final = (
    f"CASE WHEN {_mod(1000)} < 4 THEN 'Order ' || {_TEXT} || ' differs by ' || {_TEXT} || '.01 in ' || "
    f"CASE {_mod(7, '(i / 1000)')} WHEN 0 THEN 'tax' WHEN 1 THEN 'owner' WHEN 2 THEN 'status' ELSE 'sku' END "
    "|| '. What to do: mend it in the store, then retry.' ELSE '' END"
)
_TABLES: Final = {
    "event": (
        "INSERT INTO event (connection, dedupe_key, kind, record_id, stamp, topic, via, raw, verdict, correlation, "
        "received_at) "
        f"SELECT 'shop', 'd' || {_TEXT}, 'order', {_TEXT}, {{t}} + i, 'order.updated', 'webhook', {{raw}}, 'newest', "
        f"'c' || {_TEXT}, {{t}} + i * 1000 FROM n"
    ),
    "record": (
        "INSERT INTO record (connection, kind, record_id, stamp, raw, content, number, version, event_id, updated_at, deleted) "
        f"SELECT 'shop', 'order', {_TEXT}, {{t}} + i, {{raw}}, 'x', 'W-' || {_TEXT}, 1, i, {{t}} + i * 1000, false FROM n"
    ),
    "job": (
        "INSERT INTO job (flow, connection, kind, record_id, target, queue, rank, state, wanted, done, generation, "
        "due_at, reason, error_class, number, amount, currency, correlation, created_at, updated_at, customer) "
        f"SELECT '{FLOW}', 'shop', 'order', {_TEXT}, 'crm', 'live', 0, {_STATE}, 1, 1, 1, {{t}} + 1000000000000000, {_REASON}, "
        f"{_CLASS}, 'W-' || {_TEXT}, {_TEXT} || '.50', 'EUR', 'c' || {_TEXT}, {{t}} + i * 1000, {{t}} + i * 1000, "
        f"substr({_mod(9973)} || '00000000000000000000000000000000', 1, 32) FROM n"
    ),
    "attempt": (
        "INSERT INTO attempt (job_id, generation, token, worker, started_at, ended_at, outcome, error_class, message, calls, "
        f"correlation) SELECT (i + 2) / 3, 1, {_mod(3)} + 1, 'host:1/2', {{t}} + i * 300, {{t}} + i * 300 + 200000, "
        f"CASE {_mod(3)} WHEN 0 THEN 'settled' ELSE 'retry' END, '', '', "
        '\'[{"connection":"crm","operation":"query","method":"GET","status":200,"outcome":"ok","milliseconds":31.5,'
        f"\"write\":false}}]', 'c' || {_TEXT} FROM n"
    ),
    "link": (
        "INSERT INTO link (target, kind, key, state, remote_id, remote_number, job_id, token, created_at, updated_at) "
        f"SELECT 'crm', 'order', 'shop/order/' || {_TEXT}, 'linked', '10x' || {_TEXT}, 'SO' || {_TEXT}, i, 1, "
        "{t} + i, {t} + i FROM n"
    ),
}


def main(arguments: list[str]) -> None:
    """Both engines, or the one that the arguments name."""
    chosen = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    jobs = int(chosen.get("jobs", SMALL if "--small" in arguments else FULL))
    lines: list[str] = []
    for engine in ("sqlite", "postgresql"):
        if chosen.get("engine", engine) != engine:
            continue
        with (
            PostgresServer(durable=True) if engine == "postgresql" else contextlib.nullcontext() as postgres,
            tempfile.TemporaryDirectory() as folder,
            database(Path(folder), postgres) as url,
        ):
            lines += measure(engine, url, jobs, int(chosen.get("rounds", "40")), float(chosen.get("flow", "50")))
    print("\n".join(lines))


def fill(ledger: Ledger, jobs: int) -> None:
    """A million jobs with three attempts each, as a year leaves them."""
    began = (time.time_ns() // 1000) - jobs * 1000
    raw = "X'" + b'{"id": 1, "number": "W-1", "total": "59.50"}'.hex() + "'"
    if not ledger.db.is_sqlite:
        raw = f"decode('{raw[2:-1]}', 'hex')"
    for table, statement in _TABLES.items():
        before = time.perf_counter()
        count = jobs * 3 if table == "attempt" else jobs
        if ledger.db.is_sqlite:  # the recursive walk goes before the SELECT there as well as here
            text = statement.replace(" SELECT ", f" {_N.format(n=count)} SELECT ", 1)
        else:
            text = statement.replace("FROM n", f"FROM generate_series(1::bigint, {count}) AS n(i)")
        with ledger.db.write() as connection:
            connection.exec_driver_sql(text.replace("{t}", str(began)).replace("{raw}", raw))
        print(f"  {table}: {count} rows in {time.perf_counter() - before:.1f} s", flush=True)
    with ledger.db.write() as connection:
        for one in range(1, BUYERS + 1):
            mark = email_mark(buyer(one))
            connection.execute(sa.update(t.job).where(t.job.c.id == jobs // BUYERS * one).values(customer=mark))
    with ledger.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if ledger.db.is_sqlite:
            return
        connection.exec_driver_sql("VACUUM ANALYZE")


def buyer(number: int) -> str:
    """The address of somebody who has ordered."""
    return f"buyer{number}@office.example"


def context(ledger: Ledger) -> Context:
    """One shop, one CRM, nobody asks either."""
    shop, crm = woo_settings("shop", {}), crm_settings("http://127.0.0.1:9", {})
    flow = FlowSettings(name=FLOW, source="shop", target="crm", owner="sales", region="DE", poll=0)
    stores, crms = {"shop": woocommerce.build(shop)}, {"crm": vtiger.build(crm)}
    ledger.flows.set(FLOW, "live")
    return Context(ledger, stores, crms, {FLOW: flow}, {"shop": shop, "crm": crm}, clock=Clock())


class Worker:
    """Takes in orders and settles them; `carried` so many in `seconds` of being at it."""

    def __init__(self, of: Context) -> None:
        self.of = of
        self.carried, self.seconds = 0, 0.0

    def carry(self) -> None:
        """One order from its delivery to its end."""
        began = time.perf_counter()
        key = Key("shop", "order", f"new{self.carried}-{random.random()}")
        books = self.of.ledger
        books.inbox.accept([Change(key, self.of.clock.now(), b"{}", f"{key}", number=key.id)], self.of.routes)
        claim = books.jobs.claim("bench")
        if claim is not None:
            outcome = Outcome("settled", amount="1.00", currency="EUR", customer=email_mark(f"{key.id}@office.example"))
            books.jobs.settle(claim, outcome)
        self.carried += 1
        self.seconds += time.perf_counter() - began


class Ended(Protocol):
    """An event of threads or of processes."""

    def wait(self, timeout: float | None = None) -> bool: ...


def carry_on(of: Context, per_second: float, ended: Ended) -> int:
    """Orders come in and settle until the end: how many. What is late is made up for."""
    workers, began = [Worker(of) for _ in range(HANDS)], time.monotonic()

    def work(number: int) -> None:
        own = workers[number]
        while not ended.wait(max(began + (own.carried * HANDS + number) / per_second - time.monotonic(), 0)):
            own.carry()

    threads = [threading.Thread(target=work, args=(number,), name=f"flow-{number}") for number in range(HANDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(worker.carried for worker in workers)


def carry_on_apart(url: str, password: str, per_second: float, ready: Any, ended: Ended, carried: Any) -> None:
    """In a process of its own, as a worker beside the web process."""
    with contextlib.closing(Ledger.open(make_url(url).set(password=password or None))) as ledger:
        ready.set()
        carried.value = carry_on(context(ledger), per_second, ended)


@contextlib.contextmanager
def flowing(of: Context, url: URL, per_second: float) -> Iterator[None]:
    """Orders flow: on SQLite in this process, as in `orderwire up`, on PostgreSQL in another one."""
    if not per_second:
        yield
        return
    apart = multiprocessing.get_context("spawn")
    carried, ready = apart.Value("q", 0), apart.Event()
    runner: threading.Thread | multiprocessing.process.BaseProcess
    ended: Any
    if of.ledger.db.is_sqlite:
        ended = threading.Event()

        def here() -> None:
            ready.set()
            carried.value = carry_on(of, per_second, ended)

        runner = threading.Thread(target=here)
    else:
        ended = apart.Event()
        told = url.set(password=None).render_as_string()
        runner = apart.Process(
            target=carry_on_apart, args=(told, url.password or "", per_second, ready, ended, carried)
        )
    runner.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("nothing flows: the other process did not start")
        began = time.monotonic()
        yield
    finally:
        ended.set()
        runner.join()
        rate = carried.value / (time.monotonic() - began)
        print(f"  {carried.value} orders flowed meanwhile, {rate:.0f} a second", flush=True)


def added_by_tabs(of: Context, client: TestClient) -> float:
    """By how many per cent an order takes longer for each open home page: a worker that never rests, with `TABS` tabs and
    without, in turns.
    """
    ratios = []
    for _ in range(TURNS):
        alone = _an_order(of, None)
        ratios.append(_an_order(of, client) / alone)
    return (statistics.median(ratios) - 1) / TABS * 100


def _an_order(of: Context, client: TestClient | None) -> float:
    """Seconds for one, beside `TABS` tabs."""
    worker, ended = Worker(of), threading.Event()

    def work() -> None:
        while not ended.is_set():
            worker.carry()

    thread, began = threading.Thread(target=work, name="flow"), time.monotonic()
    thread.start()
    looks = 0
    while (left := began + TURN - time.monotonic()) > 0:
        if client is None:
            time.sleep(left)
            continue
        client.get("/", headers={"hx-request": "true"})
        looks += 1
        time.sleep(max(began + looks * EVERY / TABS - time.monotonic(), 0))
    ended.set()
    thread.join()
    return worker.seconds / worker.carried


def measure(engine: str, url: str, jobs: int, rounds: int, per_second: float) -> list[str]:
    """The lines of one engine."""
    with contextlib.closing(Ledger.open(url)) as ledger:
        migrate.upgrade(ledger.db)
        fill(ledger, jobs)
        of = context(ledger)
        client = logged_in(app_over(of))
        dice = random.Random(7)
        with flowing(of, make_url(url), per_second):
            lines = [
                _line(
                    f"BENCH dashboard engine={engine} screen={name}",
                    [_took(client, make()) for _ in range(rounds)],
                    MOST_MS,
                )
                for name, make in screens(client, jobs, dice).items()
            ]
            looked = [_took(client, f"/search?q={text()}") for text in searches(jobs, dice) for _ in range(rounds)]
            lines.append(_line(f"BENCH search engine={engine}", looked, MOST_SEARCH_MS))
        lines += [
            f"BENCH dashboard engine={engine} screen={name} cpu_ms={_processor(client, make):.1f}"
            for name, make in screens(client, jobs, dice).items()
        ]
        added = added_by_tabs(of, client)
        late = "" if added <= MOST_ADDED else f" MORE THAN {MOST_ADDED:.0f}"
        lines.append(f"BENCH dashboard engine={engine} tab_pct={added:.2f}{late}")
    return lines


def screens(client: TestClient, jobs: int, dice: random.Random) -> dict[str, Callable[[], str]]:
    """Address makers by screen."""

    def some() -> int:
        return dice.randrange(1, jobs)

    problem = re.findall(r"/problems/([0-9a-f]{16})", client.get("/problems").text)[0]
    return {
        "home": lambda: "/",
        "jobs": lambda: "/jobs",
        "jobs-held": lambda: "/jobs?state=held",
        "jobs-settled": lambda: "/jobs?state=settled",
        "jobs-flow": lambda: f"/jobs?flow={FLOW}&state=settled",
        "jobs-nothing": lambda: "/jobs?flow=other",
        "jobs-class": lambda: "/jobs?error=remote+5xx",
        "jobs-deep": lambda: f"/jobs?after=o.{some()}",
        "job": lambda: f"/jobs/{some()}",
        "fields": lambda: f"/jobs/{some()}/fields",
        "order": lambda: f"/orders/W-{some()}",
        "problems": lambda: "/problems",
        "problem": lambda: f"/problems/{problem}",
        "preview": lambda: f"/problems/{problem}/retry",
        "connections": lambda: "/connections",
        "flows": lambda: "/flows",
        "runs": lambda: "/runs",
        "review": lambda: "/review",
        "schedules": lambda: "/schedules",
        "workers": lambda: "/workers",
        "figures": lambda: "/figures",
        "settings": lambda: "/settings",
        "alerts": lambda: "/alerts",
        "audit": lambda: "/audit",
    }


def searches(jobs: int, dice: random.Random) -> list[Callable[[], str]]:
    """What people type."""

    def some() -> int:
        return dice.randrange(1, jobs)

    return [
        lambda: f"W-{some()}",
        lambda: f"{some()}",
        lambda: f"SO{some()}",
        lambda: f"none{some()}",
        lambda: buyer(dice.randrange(1, BUYERS)),
    ]


def _took(client: TestClient, address: str) -> float:
    before = time.perf_counter()
    answer = client.get(address)
    took = (time.perf_counter() - before) * 1000
    if answer.status_code not in {200, 303}:
        raise RuntimeError(f"{address}: {answer.status_code} {answer.text[:500]}")
    return took


def _processor(client: TestClient, make: Callable[[], str]) -> float:
    """Processor time of this process for one look, when nothing flows: the yardstick on a busy machine. The median, ms."""
    took = []
    for _ in range(LOOKS):
        before = time.process_time()
        _took(client, make())
        took.append((time.process_time() - before) * 1000)
    return statistics.median(took)


def _line(head: str, took: list[float], most: float) -> str:
    took.sort()
    p95 = took[min(int(len(took) * 0.95), len(took) - 1)]
    late = "" if p95 <= most else f" MORE THAN {most:.0f}"
    print(f"  {head} median {took[len(took) // 2]:.1f} ms, p95 {p95:.1f} ms, most {took[-1]:.1f} ms", flush=True)
    return f"{head} p95_ms={p95:.1f} median_ms={took[len(took) // 2]:.1f}{late}"


if __name__ == "__main__":
    main(sys.argv[1:])
