"""The rep card over HTTP while 300 a second are asked for; see benchmarks/README.md.

`PYTHONPATH=. python benchmarks/bench_portal.py [engine=sqlite] [per_s=300] [seconds=20] [customers=20000]`
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url

from benchmarks.installation import cpu_seconds, database, process
from benchmarks.open_loop import post
from benchmarks.sending import percentile
from ledger import Ledger, migrate
from ledger import tables as t
from mapping.cards import Card, CardRep
from tests.servers import PostgresServer

RATE, SECONDS, CUSTOMERS = 300.0, 20.0, 20_000
WARM, MOST = 300, 3000
MOST_MS: Final = 40.0
SECRET: Final = "benchmark-portal-secret-0123456789ab"
CONFIGURATION: Final = """
[ledger]
url = "{url}"
{password}

[web]
port = 0

[[connection]]
name = "erp"
connector = "tryton"
url = "http://127.0.0.1:9"
database = "none"
username = "none"
password = "env:BENCHMARK_PORTAL_SECRET"

[[portal]]
name = "shop"
source = "erp"
secrets = ["env:BENCHMARK_PORTAL_SECRET"]
lifetime = 3600
team = {{ name = "Customer service", email = "service@us.example" }}
"""


def fill(url: str, customers: int) -> None:
    """Cards of so many customers, of two reps each, one of whom stands in."""
    with contextlib.closing(Ledger.open(url)) as ledger:
        migrate.upgrade(ledger.db)
        now = ledger.db.micros()
        for start in range(0, customers, 1000):
            rows = []
            for number in range(start, min(start + 1000, customers)):
                text = card(number).model_dump_json()
                digest = hashlib.sha256(text.encode()).hexdigest()
                told = {"card": text, "digest": digest, "changed_at": now, "updated_at": now}
                rows.append({"source": "erp", "customer": str(number), **told})
            with ledger.db.write() as connection:
                connection.execute(t.rep_card.insert(), rows)


def card(number: int) -> Card:
    """No two customers have the same people."""
    anna = CardRep(
        name=f"Anna Kern {number}", roles=("primary",), title="Inside sales", email=f"anna{number}@us.example",
        phone="+49 30 12345", languages=("de", "en", "fr"),
    )  # fmt: skip
    ben = CardRep.model_validate(
        {
            **anna.model_dump(),
            "name": f"Ben Vogel {number}",
            "roles": ("field",),
            "partner": True,
            "firm": "Partner Ltd",
            "stands_in_for": "Cora Lind",
            "away_until": "2030-12-01",
        }
    )
    return Card(customer=str(number), name=f"Office {number} Ltd", reps=(anna, ben))


def asked(at: str, count: int, customers: int, dice: random.Random) -> list[bytes]:
    """Whole requests, each with a token of its own."""
    host, now = urlsplit(at).netloc, int(time.time())
    return [
        f"GET /portal/card HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token(str(dice.randrange(customers)), n, now)}\r\n"
        "Accept-Language: en\r\nOrigin: https://shop.example\r\n\r\n".encode()
        for n in range(count)
    ]


def token(customer: str, number: int, now: int) -> str:
    """As a shop signs it."""
    claims = {
        "iss": "shop",
        "aud": "orderwire",
        "sub": customer,
        "iat": now,
        "exp": now + 3000,
        "jti": f"{number:016d}",
    }
    parts = (b'{"alg":"HS256","typ":"JWT"}', json.dumps(claims).encode())
    signed = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    digest = hmac.digest(SECRET.encode(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@contextlib.contextmanager
def web(folder: Path, database_url: str) -> Iterator[tuple[str, int]]:
    """`orderwire web` over these cards; (address, process id)."""
    url = make_url(database_url)
    text = CONFIGURATION.format(
        url=URL.create(url.drivername, url.username, None, url.host, url.port, url.database).render_as_string(),
        password='password = "env:BENCHMARK_DATABASE_PASSWORD"' if url.password else "",
    )
    file = folder / "orderwire.toml"
    file.write_text(text)
    secrets = {"BENCHMARK_PORTAL_SECRET": SECRET, "BENCHMARK_DATABASE_PASSWORD": url.password or ""}
    arguments = ["cli.py", "web", "--config", str(file)]
    with process(arguments, folder / "product.log", PYTHONUNBUFFERED="1", **secrets) as started:
        yield started


def measure(engine: str, url: str, folder: Path, chosen: dict[str, str]) -> str:
    """Warm up, as much as it takes, then at the rate. Raises `Refused` for any answer but 200."""
    customers = int(chosen.get("customers", CUSTOMERS))
    rate, seconds = float(chosen.get("per_s", RATE)), float(chosen.get("seconds", SECONDS))
    dice = random.Random(7)
    fill(url, customers)
    with web(folder, url) as (at, pid):
        post(at, asked(at, WARM, customers, dice), 0)
        cpu = cpu_seconds(pid)
        most = post(at, asked(at, MOST, customers, dice), 0)
        cpu = (cpu_seconds(pid) - cpu) / MOST
        requests = asked(at, round(rate * seconds), customers, dice)
        found = post(at, requests, rate)
    shares = ", ".join(f"{percentile(found.took, share):.1f} ms for {share:.1%}" for share in (0.5, 0.9, 0.99, 0.999))
    print(
        f"  {engine}: at {rate:.0f}/s for {seconds:.0f} s: {shares} (generator {found.cpu / len(requests) * 1000:.2f} ms)"
    )
    p99 = percentile(found.took, 0.99)
    late = "" if p99 <= MOST_MS else f" MORE THAN {MOST_MS:.0f}"
    return (
        f"BENCH portal rps={found.per_s:.0f} p99_ms={p99:.1f} engine={engine} p50_ms={percentile(found.took, 0.5):.1f} "
        f"most_s={most.per_s:.0f} cpu_ms={cpu * 1000:.2f}{late}"
    )


def main(arguments: list[str]) -> None:
    """Both engines, or the one that the arguments name."""
    chosen = dict(argument.split("=", 1) for argument in arguments)
    lines = []
    for engine in ("sqlite", "postgresql"):
        if chosen.get("engine", engine) != engine:
            continue
        with (
            PostgresServer(durable=True) if engine == "postgresql" else contextlib.nullcontext() as postgres,
            tempfile.TemporaryDirectory() as name,
            database(Path(name), postgres) as url,
        ):
            lines.append(measure(engine, url, Path(name), chosen))
    print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
