"""A FULL file of a million customers of which a few changed, read, compared and turned into jobs; see benchmarks/README.md.

`PYTHONPATH=. python benchmarks/bench_feed.py [engine=sqlite] [rows=1000000] [changed=1000] [order=shuffled]`
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from connectors.roles import Erp, Feed
from core.clock import Clock
from ledger import Ledger, migrate
from ledger import tables as t
from ledger.feeds import Named
from pipelines import feeds, wiring
from tests.servers import PostgresServer

HOUSE = Path(__file__).parents[1]
CONFIGURATION = """
[ledger]
url = "{url}"
{password}
[[connection]]
name = "erp"
connector = "feed"
folder = "{folder}"
settle = 0
columns = {{ KS_CUSTOMERS = {{ reps = 21, region = 22 }} }}
[[reps]]
name = "reps"
source = "erp"
"""


def customer(number: int, reps: str) -> str:
    """A row as an ERP writes it, some 200 characters in 22 columns."""
    return (
        f"C{number:07d}\t\tC\tMüller & Söhne Nr. {number} GmbH\tHauptstraße {number % 400 + 1}\t\t\tFrankfurt am Main\t\t"
        f"{number % 90_000 + 10_000}\tDE\t+49 69 {number:07d}\t\t\twww.customer-{number}.example\t25000.00\tNET30\tSTD\t\t\t"
        f"{reps}\tR{number % 40}\r\n"
    )


def write(folder: Path, sequence: int, rows: int, changed: int, order: str) -> None:
    """The first file is of all rows; in the second half of `changed` have other reps, three tenths are new, two are gone."""
    half, new, gone = changed // 2, changed * 3 // 10, changed - changed // 2 - changed * 3 // 10
    numbers = list(range(rows))
    touched: set[int] = set()
    if sequence > 1:
        dice = random.Random(7)
        picked = dice.sample(range(rows), half + gone)
        touched = set(picked[:half])
        left = set(picked[half:])
        numbers = [number for number in numbers if number not in left] + list(range(rows, rows + new))
        if order == "shuffled":
            dice.shuffle(numbers)
    file = folder / f"DT_{sequence:07d}_KS_CUSTOMERS.FULL"
    with file.open("w", encoding="windows-1252", newline="") as out:
        out.writelines(customer(number, "R7,R9" if number in touched else f"R{number % 60}") for number in numbers)


@contextmanager
def database(engine: str, folder: Path) -> Iterator[str]:
    """The address of an empty database."""
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'ledger.sqlite'}"
        return
    with PostgresServer() as server, server.fresh_database() as url:
        yield url


def seed(config: Path) -> None:
    """The rows of the first file as they stand when it has been taken in (without the jobs, which are done by then)."""
    settings = wiring.load(config)
    ledger = Ledger.open(wiring.ledger_url(settings.ledger))
    migrate.upgrade(ledger.db)
    erp = wiring.build(settings).erps["erp"]
    feed = feeds.feed_of(erp)
    (file,) = feed.dropped()
    with feed.reading(file) as reading:
        for part in reading.parts():
            rows = [
                {"connection": "erp", "kind": "customer", "key": row.key, "digest": row.digest} for row in part.rows
            ]
            with ledger.db.write() as connection:
                connection.execute(sa.insert(t.feed_row), rows)
    named = Named(file.name, "DT", 1, file.series, "customer", "FULL", file.size, file.modified)
    ledger.feeds.note(ledger.feeds.begin("erp", named), "done")
    if not ledger.db.is_sqlite:
        with ledger.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE feed_row"))  # as the server does by itself, sooner or later
    ledger.close()


def keep(ledger: Ledger, rows: Sequence[tuple[str, str, str, bytes]]) -> None:
    """Past SQLAlchemy: this is not what is measured."""
    with ledger.db.write() as connection:
        driver: Any = connection.connection.driver_connection
        if ledger.db.is_sqlite:
            driver.executemany("INSERT INTO feed_row (connection, kind, key, digest) VALUES (?, ?, ?, ?)", rows)
            return
        with driver.cursor() as cursor, cursor.copy("COPY feed_row (connection, kind, key, digest) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def take(config: Path) -> str:
    """Take in the second file in this process: what it took."""
    settings = wiring.load(config)
    ledger = Ledger.open(wiring.ledger_url(settings.ledger))
    wired = wiring.build(settings, clock=Clock())
    context = wiring.context(settings, ledger, wired)
    erp: Erp = wired.erps["erp"]
    assert isinstance(erp, Feed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began, cpu = time.perf_counter(), time.process_time()
    feeds.poll(context, "erp")
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    jobs = ledger.db.rows(sa.select(sa.func.count()).select_from(t.job))[0][0]
    file = ledger.feeds.files("erp", limit=1)[0]
    ledger.close()
    if file.state != "done":
        raise SystemExit(f"The file was not taken in: {file.message}")
    sys.stderr.write(f"  {file.message} Memory before: {before:.0f} MB; processor time of this process: {cpu:.1f} s\n")
    return f"rows={file.counts.rows} changed={jobs} seconds={seconds:.1f} rss_mb={rss:.0f}"


def measure(engine: str, rows: int, changed: int, order: str) -> str:
    """Everything in a folder of its own; what is measured in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="orderwire-bench-") as name:
        folder = Path(name)
        with database(engine, folder) as url:
            drop, config = folder / "drop", folder / "orderwire.toml"
            drop.mkdir()
            address = make_url(url)
            os.environ["BENCHMARK_DATABASE_PASSWORD"] = address.password or ""
            password = 'password = "env:BENCHMARK_DATABASE_PASSWORD"' if address.password else ""
            plain = address._replace(password=None).render_as_string(hide_password=False)
            config.write_text(CONFIGURATION.format(url=plain, password=password, folder=drop), encoding="utf-8")
            write(drop, 1, rows, changed, order)
            subprocess.run([sys.executable, __file__, f"seed={config}"], check=True, cwd=HOUSE, env=_environment())
            write(drop, 2, rows, changed, order)
            taken = subprocess.run(
                [sys.executable, __file__, f"take={config}"],
                check=True,
                cwd=HOUSE,
                env=_environment(),
                stdout=subprocess.PIPE,
                text=True,
            )
            return f"BENCH feed engine={engine} {taken.stdout.splitlines()[-1]}"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HOUSE)}


def main() -> None:
    """See the top."""
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    if "seed" in given:
        seed(Path(given["seed"]))
    elif "take" in given:
        sys.stdout.write(take(Path(given["take"])) + "\n")
    else:
        rows = int(given.get("rows", "1000000"))
        for engine in [given["engine"]] if "engine" in given else ["sqlite", "postgresql"]:
            changed = int(given.get("changed", str(rows // 1000)))
            print(measure(engine, rows, changed, given.get("order", "sorted")), flush=True)


if __name__ == "__main__":
    main()
