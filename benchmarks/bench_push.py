"""How long 1,000 changed customers take from a dropped file to the portal; see benchmarks/README.md.

`PYTHONPATH=. python benchmarks/bench_push.py [engine=sqlite] [portal=push] [changes=1000]`
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.engine import URL, make_url

from benchmarks.installation import database, peak_memory, process
from ledger import Ledger, migrate
from mapping.kommerce.columns import CUSTOMERS, line
from tests.servers import PostgresServer

SECRET = "whsec_" + base64.b64encode(b"a key of a benchmark, thirty-two").decode()
GIVE_UP = 300.0
REPS = ("R1", "R2")
CONFIGURATION = """
[ledger]
url = "{url}"
{password}

[web]
port = 0

[[connection]]
name = "erp"
connector = "feed"
folder = "{drops}"
settle = 0
columns = {{ KS_CUSTOMERS = {{ reps = 21 }} }}

[[connection]]
name = "extranet"
connector = "push"
url = "{receiver}"
secret = "env:BENCHMARK_PUSH_SECRET"

[[connection]]
name = "ks"
connector = "kommerce"
folder = "{taken}"
rep_column = 21

[[reps]]
name = "reps"
source = "erp"
portals = ["{portal}"]
poll = 1
"""


class Receiver(BaseHTTPRequestHandler):
    """Answers at once; GET tells how many customers show which rep."""

    protocol_version = "HTTP/1.1"
    shown: dict[str, list[str]] = {}  # noqa: RUF012 - one for the process
    lock = threading.Lock()

    def do_POST(self) -> None:
        """A card."""
        data = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]
        with self.lock:
            self.shown[data["customer"]] = [rep["name"] for rep in data["card"]["reps"]]
        self._answer(b"")

    def do_GET(self) -> None:
        """What is shown."""
        with self.lock:
            self._answer(json.dumps(self.shown).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is said of each call."""


def receive() -> None:
    """The receiver's process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def drop(folder: Path, number: int, mode: str, api: str, rows: list[str]) -> None:
    """A file as an ERP drops it: under another name first."""
    name = f"DT_{number:07d}_{api}.{mode}"
    (folder / f"{name}.tmp").write_text("".join(f"{row}\r\n" for row in rows), "utf-8")
    (folder / f"{name}.tmp").rename(folder / name)


def customers(count: int, rep: str) -> list[str]:
    """Rows of customers who have this rep."""
    layout = CUSTOMERS.with_columns({"reps": 21})
    return [
        line(
            layout.row(
                {
                    "number": f"C{number}",
                    "business_type": "C",
                    "name": f"Customer {number}",
                    "city": "Essen",
                    "country": "DE",
                    "reps": rep,
                }
            )
        )
        for number in range(count)
    ]


def told(portal: str, receiver: str, taken: Path) -> dict[str, str]:
    """Customer -> the rep that the portal shows first."""
    if portal == "extranet":
        return {number: " ".join(reps) for number, reps in httpx.get(receiver).json().items()}
    found: dict[str, str] = {}
    for path in sorted(taken.glob("*_KS_CUSTOMERS.*")):
        for row in path.read_text("utf-8").splitlines():
            cells = row.split("\t")
            found[cells[0]] = cells[20]
    return found


def wait_for(condition: Callable[[], bool]) -> float:
    """The moment at which it holds."""
    deadline = time.monotonic() + GIVE_UP
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the portal was not told in time")
        time.sleep(0.1)
    return time.monotonic()


@contextlib.contextmanager
def running(folder: Path, url: str, receiver: str, portal: str) -> Iterator[int]:
    """`orderwire up` with its flow of reps live; its process id."""
    made = make_url(url)
    with contextlib.closing(Ledger.open(url)) as ledger:
        migrate.upgrade(ledger.db)
        ledger.flows.set("reps", "live")
        ledger.reps.put_rep("erp", "R1", {"name": "R1"}, told="own")
        ledger.reps.put_rep("erp", "R2", {"name": "R2"}, told="own")
    file = folder / "orderwire.toml"
    file.write_text(
        CONFIGURATION.format(
            url=URL.create(
                made.drivername, made.username, None, made.host, made.port, made.database
            ).render_as_string(),
            password='password = "env:BENCHMARK_DATABASE_PASSWORD"' if made.password else "",
            drops=folder / "drops",
            taken=folder / "taken",
            receiver=receiver,
            portal=portal,
        )
    )
    environment = {"BENCHMARK_PUSH_SECRET": SECRET, "BENCHMARK_DATABASE_PASSWORD": made.password or ""}
    arguments = ["cli.py", "up", "--config", str(file)]
    with process(arguments, folder / "product.log", PYTHONUNBUFFERED="1", **environment) as (_, pid):
        yield pid


def measure(portal: str, changes: int, postgres: PostgresServer | None) -> tuple[float, float]:
    """Seconds from the file's name to the last customer shown, and the product's most memory in MB."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        for part in ("drops", "taken"):
            (folder / part).mkdir()
        arguments = ["benchmarks/bench_push.py", "receive"]
        receiver, _ = stack.enter_context(process(arguments, folder / "receiver.log", PYTHONPATH="."))
        url = stack.enter_context(database(folder, postgres))
        pid = stack.enter_context(running(folder, url, receiver, portal))
        drop(folder / "drops", 1, "FULL", "KS_CUSTOMERS", customers(changes, REPS[0]))

        def shows(rep: str) -> bool:
            found = told(portal, receiver, folder / "taken")
            return len(found) == changes and set(found.values()) == {rep}

        wait_for(lambda: shows(REPS[0]))
        began = time.monotonic()
        drop(folder / "drops", 2, "NET", "KS_CUSTOMERS", customers(changes, REPS[1]))
        return wait_for(lambda: shows(REPS[1])) - began, peak_memory(pid)


def main(arguments: list[str]) -> None:
    """All cases, or those that the arguments name."""
    if arguments == ["receive"]:
        receive()
        return
    chosen = dict(argument.split("=", 1) for argument in arguments)
    changes = int(chosen.get("changes", "1000"))
    lines = []
    for engine in ("sqlite", "postgresql"):
        if chosen.get("engine", engine) != engine:
            continue
        with PostgresServer(durable=True) if engine == "postgresql" else contextlib.nullcontext() as postgres:
            for portal, connection in (("push", "extranet"), ("kommerce", "ks")):
                if chosen.get("portal", portal) != portal:
                    continue
                print(f"{engine}, {portal}: {changes} changes", flush=True)
                seconds, memory = measure(connection, changes, postgres)
                lines.append(
                    f"BENCH push changes={changes} seconds={seconds:.1f} engine={engine} portal={portal} rss_mb={memory:.0f}"
                )
    print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
