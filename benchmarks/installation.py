"""One installation as a benchmark runs it: its configuration file, `orderwire up` over it, and the stand-in CRM."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
from sqlalchemy.engine import URL, make_url

from benchmarks.deliveries import HOOK_SECRET
from connectors import woocommerce
from core.secrets import SecretRef
from ledger import Ledger, migrate
from ledger.database import Database
from tests.servers import PostgresServer

HOUSE = Path(__file__).parents[1]
ACCESS_KEY = "benchmark-access-key"
OWNER = "20x2"
CURRENCIES = {"EUR": "21x1", "JPY": "21x1"}
CONFIGURATION = """
[ledger]
url = "{url}"
{password}

[worker]
threads = {threads}

[web]
port = 0

[[connection]]
name = "crm"
connector = "vtiger"
url = "{crm}"
username = "apiuser"
access_key = "env:BENCHMARK_ACCESS_KEY"
owners = {{ sales = "20x2" }}
currencies = {{ EUR = "21x1", JPY = "21x1" }}
unknown_product = "OW-UNKNOWN"
fee_product = "OW-FEE"

[[connection]]
name = "shop"
connector = "woocommerce"
url = "http://127.0.0.1:9"
consumer_key = "env:BENCHMARK_ACCESS_KEY"
consumer_secret = "env:BENCHMARK_ACCESS_KEY"
webhook_secrets = ["env:BENCHMARK_HOOK_SECRET"]

[[flow]]
name = "orders"
source = "shop"
target = "crm"
owner = "sales"
region = "DE"
poll = 0
"""
PRODUCTS = [
    {"productname": "Unknown article", "productcode": "OW-UNKNOWN", "unit_price": "0"},
    {"productname": "Fee", "productcode": "OW-FEE", "unit_price": "0"},
]


def shop_settings() -> woocommerce.WooCommerceSettings:
    """The shop of the configuration above, for whoever wants to read its orders as the product does."""
    key = SecretRef("env:BENCHMARK_ACCESS_KEY")
    return woocommerce.WooCommerceSettings(name="shop", url="http://127.0.0.1:9", consumer_key=key, consumer_secret=key)


@contextlib.contextmanager
def process(arguments: list[str], log: Path, **environment: str) -> Iterator[tuple[str, int]]:
    """A Python process that prints its address first; (address, process id). Ended by SIGTERM."""
    with log.open("ab") as errors:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=HOUSE,
            env={**os.environ, **environment},
        )
    assert child.stdout is not None
    try:
        said = next((line for line in child.stdout if "http://" in line), "")
        if not said:
            raise RuntimeError(f"{arguments} did not start:\n{log.read_text()[-3000:]}")
        yield "http://" + said.partition("http://")[2].partition(";")[0].strip(), child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


@contextlib.contextmanager
def stand_in(folder: Path, *, php: int) -> Iterator[str]:
    """The sandbox CRM in a process of its own. `php=7`: leads can be converted, `php=8`: they cannot."""
    options = ["-m", "sandbox", "crm", "--port", "0", "--access-key-env", "BENCHMARK_ACCESS_KEY"]
    with process(options, folder / "crm.log", BENCHMARK_ACCESS_KEY=ACCESS_KEY) as (url, _):
        httpx.post(f"{url}/sandbox/seed", json={"products": PRODUCTS}).raise_for_status()
        httpx.post(f"{url}/sandbox/switches", json={"php": php}).raise_for_status()
        yield url


@contextlib.contextmanager
def up(folder: Path, database: str, crm: str, threads: int) -> Iterator[tuple[str, int]]:
    """`orderwire up` over this database and CRM, its flow live; (address, process id)."""
    with contextlib.closing(Ledger.open(database)) as ledger:
        migrate.upgrade(ledger.db)
        ledger.flows.set("orders", "live")
    with running("up", folder, database, crm, threads) as started:
        yield started


@contextlib.contextmanager
def web(folder: Path, database: str) -> Iterator[tuple[str, int]]:
    """`orderwire web` alone over this database, which it brings up to date before; (address, process id)."""
    with contextlib.closing(Database(database)) as db:
        migrate.upgrade(db)
    with running("web", folder, database, "http://127.0.0.1:9", 8) as started:
        yield started


@contextlib.contextmanager
def running(command: str, folder: Path, database: str, crm: str, threads: int) -> Iterator[tuple[str, int]]:
    """A process of the product by its command line; (address, process id)."""
    url = make_url(database)
    text = CONFIGURATION.format(
        url=URL.create(url.drivername, url.username, None, url.host, url.port, url.database).render_as_string(),
        password='password = "env:BENCHMARK_DATABASE_PASSWORD"' if url.password else "",
        threads=threads,
        crm=crm,
    )
    file = folder / "orderwire.toml"
    file.write_text(text)
    with process(
        ["cli.py", command, "--config", str(file)],
        folder / "product.log",
        BENCHMARK_ACCESS_KEY=ACCESS_KEY,
        BENCHMARK_HOOK_SECRET=HOOK_SECRET,
        BENCHMARK_DATABASE_PASSWORD=url.password or "",
        PYTHONUNBUFFERED="1",
    ) as started:
        yield started


@contextlib.contextmanager
def database(folder: Path, postgres: PostgresServer | None) -> Iterator[str]:
    """An empty database, as durable as in production; SQLite where no server is given."""
    if postgres is None:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            yield f"sqlite:///{place}/orderwire.db"
        return
    with postgres.fresh_database() as url:
        yield url


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
