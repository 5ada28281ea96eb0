"""An installation of the product in processes of its own, with the stand-in CRM in another."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import httpx
from sqlalchemy.engine import URL, make_url

from tests.chaos.harness.oracle import Jobs
from tests.chaos.harness.processes import Child, Nursery
from tests.chaos.harness.shop import HOOK_SECRET
from tests.servers import free_port

ACCESS_KEY = "chaos-access-key"
LEASE = 4.0
LATE = 2.0
HOLD = 8.0
"""Seconds; what lands late lands later still on a busy machine."""
PRODUCTS = [
    {"productname": "Unknown article", "productcode": "OW-UNKNOWN", "unit_price": "0"},
    {"productname": "Fee", "productcode": "OW-FEE", "unit_price": "0"},
]
FAULTS: Mapping[str, float] = {
    "error_500": 0.03,
    "rate_limited": 0.03,
    "late_commit": 0.02,
    "lost_answer": 0.05,
    "read_error": 0.03,
}
"""The dial of the matrix. Late commits land after `LATE` seconds; nothing in this CRM is unique."""

CONFIGURATION = """
[ledger]
url = "{url}"
{password}
lease = {lease}

[worker]
threads = {threads}
tick = 0.2
max_failures = {max_failures}
{broker}

[web]
port = {port}

[[connection]]
name = "crm"
connector = "vtiger"
url = "{crm}"
username = "apiuser"
access_key = "file:{folder}/access_key"
connect_timeout = 0.3
read_timeout = {read_timeout}
hold = {hold}
owners = {{ sales = "20x2" }}
currencies = {{ EUR = "21x1" }}
unknown_product = "OW-UNKNOWN"
fee_product = "OW-FEE"
"""
SHOP = """
[[connection]]
name = "{name}"
connector = "woocommerce"
url = "{url}"
connect_timeout = 0.3
read_timeout = 0.8
consumer_key = "file:{folder}/shop_key"
consumer_secret = "file:{folder}/shop_secret"
webhook_secrets = ["file:{folder}/hook_secret"]
overlap = 60

[[flow]]
name = "{name}-orders"
source = "{name}"
target = "crm"
owner = "sales"
region = "DE"
poll = {poll}
"""


@dataclass
class Plan:
    """How an installation looks. `workers` 0: one process, `up`; else `web` and so many workers beside it."""

    workers: int = 0
    threads: int = 4
    max_failures: int = 8
    hold: float = HOLD
    lease: float = LEASE
    read_timeout: float = 0.8
    php: int = 8
    broker: str = ""
    broker_password: str = ""
    shops: Mapping[str, str] = field(default_factory=lambda: {"shop": "http://127.0.0.1:9"})
    """Name -> where its REST interface is; by default nowhere."""
    store: bool = False
    """Start the stand-in store: the first shop's REST interface."""
    poll: float = 0
    crm: str = ""
    """Another CRM's address; by default one is started."""


class Ended(NamedTuple):
    """A process that ended by itself: its exit code (minus the signal), and the end of its log."""

    name: str
    status: int | None
    said: str


class Fleet:
    """Starts, kills and freezes the processes; whatever happens, none is left behind."""

    def __init__(self, nursery: Nursery, folder: Path, database: str, plan: Plan | None = None) -> None:
        self.nursery = nursery
        self.folder = folder
        self.database = database
        self.plan = plan or Plan()
        self.port = free_port()
        self.crm_port = free_port()
        self.store_url = f"http://127.0.0.1:{free_port()}"
        if self.plan.store:
            self.plan.shops = {**self.plan.shops, next(iter(self.plan.shops)): self.store_url}
        self.crm_url = self.plan.crm or f"http://127.0.0.1:{self.crm_port}"
        self.web_url = f"http://127.0.0.1:{self.port}"
        self.children: dict[str, Child] = {}
        self.jobs = Jobs(database)
        self.file = folder / "orderwire.toml"
        self._gone: list[Child] = []
        self.ended: list[Ended] = []
        """What `supervise` found ended by itself."""
        self._lock = threading.Lock()
        self._http = httpx.Client(base_url=self.crm_url, timeout=120, trust_env=False)

    # -- life ----------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self._configure()
            if not self.plan.crm:
                self.start_crm()
            if self.plan.store:
                self._start_store()
            self._command("upgrade", "db", "upgrade")
            for shop in self.plan.shops:
                self._command("live", "flow", "live", f"{shop}-orders", "--any-age", "--yes")
            for name in self.names:
                self.start(name)
            self.ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Everything ends now."""
        for child in (*self.children.values(), *self._gone):
            child.close()
        self.children.clear()
        self._gone.clear()
        self._http.close()
        self.jobs.engine.dispose()

    @property
    def names(self) -> tuple[str, ...]:
        """The product's processes."""
        if not self.plan.workers:
            return ("up",)
        return ("web", *self.workers)

    @property
    def workers(self) -> tuple[str, ...]:
        """Those that carry orders."""
        return tuple(f"worker-{n}" for n in range(self.plan.workers)) or ("up",)

    @property
    def taker(self) -> str:
        """The one that takes deliveries."""
        return "web" if self.plan.workers else "up"

    def _configure(self) -> None:
        plan, url = self.plan, make_url(self.database)
        secrets = {
            "access_key": ACCESS_KEY,
            "hook_secret": HOOK_SECRET,
            "shop_key": "ck_sandbox",
            "shop_secret": "cs_sandbox",
            "database_password": url.password or "",
            "broker_password": plan.broker_password,
        }
        for name, value in secrets.items():
            (self.folder / name).write_text(str(value))
        broker = f'broker = "{plan.broker}"\n' if plan.broker else ""
        if plan.broker_password:
            broker += f'broker_password = "file:{self.folder}/broker_password"'
        bare = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
        text = CONFIGURATION.format(
            url=bare.render_as_string(),
            password=f'password = "file:{self.folder}/database_password"' if url.password else "",
            lease=plan.lease,
            threads=plan.threads,
            max_failures=plan.max_failures,
            broker=broker,
            port=self.port,
            crm=self.crm_url,
            folder=self.folder,
            hold=plan.hold,
            read_timeout=plan.read_timeout,
        )
        text += "".join(
            SHOP.format(name=name, url=at, folder=self.folder, poll=plan.poll) for name, at in plan.shops.items()
        )
        self.file.write_text(text)

    def _command(self, name: str, *arguments: str) -> None:
        """One command of the installation's operator."""
        child = self._run(name, [*arguments, "--config", str(self.file)])
        assert child.ended(180), f"{arguments} did not end in time"
        status = self.nursery.status(child)
        self._gone.append(child)
        assert status == 0, f"{arguments} ended with {status}:\n{child.tail()}"

    def _run(self, name: str, arguments: Sequence[str]) -> Child:
        return self.nursery.start(name, "cli", arguments, self.folder / f"{name}.log")

    # -- the processes -------------------------------------------------------------------------------------------------

    def start_crm(self) -> None:
        """The stand-in CRM, empty but for its catalogue, with no uniqueness at all."""
        arguments = ["crm", "--port", str(self.crm_port), "--access-key-env", "CHAOS_ACCESS_KEY"]
        log = self.folder / "crm.log"
        self.children["crm"] = self.nursery.start(
            "crm", "sandbox.__main__", arguments, log, CHAOS_ACCESS_KEY=ACCESS_KEY
        )
        _until_it_answers(self.crm_url, "/sandbox/faults", 200, self.children["crm"])
        for path, wanted in (
            ("/sandbox/seed", {"products": PRODUCTS}),
            ("/sandbox/switches", {"php": self.plan.php}),
            ("/sandbox/uniqueness", {"account_names": False}),
        ):
            self._http.post(path, json=wanted).raise_for_status()

    def _start_store(self) -> None:
        port = self.store_url.rpartition(":")[2]
        child = self.nursery.start("store", "sandbox.__main__", ["store", "--port", port], self.folder / "store.log")
        self.children["store"] = child
        _until_it_answers(self.store_url, "/sandbox/documents", 200, child)

    def list_in_store(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """The shop has these orders now."""
        for start in range(0, len(documents), 100):
            body = {"orders": list(documents[start : start + 100])}
            httpx.post(f"{self.store_url}/sandbox/orders", json=body, timeout=120, trust_env=False).raise_for_status()

    def start(self, name: str) -> Child:
        """A process of the product, by its command line. Returns at once; `ready` waits for it."""
        command = "worker" if name.startswith("worker") else name
        child = self._run(name, [command, "--config", str(self.file), "--log-level", "warning"])
        self.children[name] = child
        return child

    def kill(self, name: str) -> None:
        """`kill -9`."""
        child = self.children.pop(name)
        child.kill()
        self._gone.append(child)
        if len(self._gone) > 20:
            self._gone.pop(0).close()

    def restart(self, name: str) -> None:
        """`kill -9`, and a new one at once, as a supervisor does it."""
        with self._lock:
            self.kill(name)
            self.start(name)

    def freeze(self, name: str) -> None:
        """SIGSTOP: the process is there and does nothing."""
        self.children[name].send(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self.children[name].send(signal.SIGCONT)

    def ready(self, within: float = 120.0) -> None:
        """Wait until deliveries are taken."""
        _until_it_answers(self.web_url, "/readyz", 200, self.children[self.taker], within)

    def at_work(self) -> list[str]:
        """The workers that have come through their start: they have told the others that they are there."""
        told = {pid for (pid,) in self.jobs.rows("SELECT pid FROM process")}
        return [name for name in self.workers if self.children[name].pid in told and not self.children[name].ended()]

    def supervise(self) -> list[str]:
        """Start again what has ended by itself, as a supervisor does; their names (see `ended`)."""
        with self._lock:
            return self._supervise()

    def _supervise(self) -> list[str]:
        ended = [name for name in self.names if name not in self.children or self.children[name].ended()]
        for name in ended:
            if name in self.children:
                child = self.children.pop(name)
                self.ended.append(Ended(name, self.nursery.status(child), child.tail(1500)))
                self._gone.append(child)
            self.start(name)
        return ended

    def status(self, name: str) -> int | None:
        return self.nursery.status(self.children[name])

    def tails(self) -> str:
        """The ends of all logs, for a failure's text."""
        return "\n".join(f"--- {child.name}\n{child.tail(1500)}" for child in self.children.values())

    # -- the CRM -------------------------------------------------------------------------------------------------------

    def dial(self, **faults: Any) -> None:
        """Turn the fault dial."""
        self._http.post("/sandbox/faults", json=faults).raise_for_status()

    def faults_on(self, seed: int) -> None:
        """The dial of the matrix."""
        self.dial(**FAULTS, seed=seed % 10**9, late_after_s=LATE)

    def faults_off(self) -> None:
        """No rate above zero; what was late still lands."""
        self.dial(**dict.fromkeys(FAULTS, 0), script=[])

    def land(self) -> int:
        """What was to land late lands now; how many records there were."""
        answer = self._http.post("/sandbox/land").raise_for_status()
        return int(answer.json()["landed"])

    def struck(self) -> dict[str, int]:
        """Which faults have happened, and how often."""
        found: dict[str, int] = self._http.get("/sandbox/faults").json()["struck"]
        return found


def _until_it_answers(address: str, path: str, wanted: int, child: Child, within: float = 120.0) -> None:
    deadline = time.monotonic() + within
    while True:
        if get(address, path)[0] == wanted:
            return
        assert not child.ended(), f"{child.name} ended at its start:\n{child.tail()}"
        assert time.monotonic() < deadline, f"{child.name} does not answer:\n{child.tail()}"
        time.sleep(0.02)


def get(address: str, path: str, *, timeout: float = 5.0) -> tuple[int, Any]:
    """Status and JSON body; (0, None) where nobody answers."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()
    try:
        return answer.status, json.loads(body)
    except ValueError:
        return answer.status, None
