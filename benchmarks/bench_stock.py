"""A hundred thousand stock levels read from their source, compared with what was known and with their thresholds; see
benchmarks/README.md.

`PYTHONPATH=. python benchmarks/bench_stock.py [engine=sqlite] [levels=100000] [low=1000]`
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from benchmarks.bench_feed import HOUSE, _environment, database
from core import memory
from ledger import Ledger, migrate
from ledger.messagetables import message
from ledger.thresholds import Threshold
from pipelines import stocks, wiring
from pipelines.context import Context

CONFIGURATION = """
[ledger]
url = "{url}"
{password}
[[connection]]
name = "erp"
connector = "feed"
folder = "{folder}"
settle = 0
columns = {{ KS_INVENTORY = {{ sku = 1, name = 2, on_hand = 3, group = 4 }} }}
[[connection]]
name = "mail"
connector = "smtp"
host = "127.0.0.1"
port = 9
sender = "orderwire@example.com"
recipients = ["stock@example.com"]
security = "none"
[[stock]]
name = "goods"
source = "erp"
full = 60
minimum = 5
owner = "anna"
via = ["mail"]
[[buyer]]
name = "anna"
email = "anna@example.com"
every = 0
"""


def write(folder: Path, sequence: int, mode: str, levels: range, low: int) -> None:
    """Levels as an ERP drops them: the first `low` of them lie below their thresholds."""
    file = folder / f"DT_{sequence:07d}_KS_INVENTORY.{mode}"
    with file.open("w", encoding="utf-8", newline="") as out:
        out.writelines(
            f"SKU-{number:06d}\tArticle number {number}\t{1 if number < low else number % 400 + 20}\tgroup-{number % 50}\r\n"
            for number in levels
        )


def read(context: Context, what: str) -> float:
    """One round; how long it took. Every round reads everything where that is due."""
    context.ledger.stock.note("erp", full_at=None, tried_at=None) if what == "all" else None
    began = time.perf_counter()
    stocks.poll(context, context.stocks["goods"])
    return time.perf_counter() - began


def opened(config: Path) -> Context:
    """What a process that reads stock has."""
    settings = wiring.load(config)
    ledger = Ledger.open(wiring.ledger_url(settings.ledger))
    context = wiring.context(settings, ledger, wiring.build(settings))
    memory.settled()
    return context


def seed(config: Path, levels: int) -> None:
    """The thresholds: of every fifth article and of fifty groups."""
    ledger = opened(config).ledger
    migrate.upgrade(ledger.db)
    own = [Threshold("product", f"SKU-{number:06d}", minimum=Decimal(10)) for number in range(0, levels, 5)]
    groups = [Threshold("group", f"group-{number}", minimum=Decimal(8)) for number in range(50)]
    ledger.stock.thresholds.put("erp", [*own, *groups], by="bench")
    ledger.close()


def measure_here(config: Path, folder: Path, levels: int, low: int) -> str:
    """In a process of its own: everything anew, everything again, nothing new, and one level that falls."""
    context = opened(config)
    ledger = context.ledger
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    write(folder, 1, "FULL", range(levels), low)
    cpu = time.process_time()
    first = read(context, "all")
    cpu = time.process_time() - cpu
    write(folder, 2, "FULL", range(levels), low)
    again = read(context, "all")
    quiet = read(context, "changes")
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    write(folder, 3, "NET", range(levels - 1, levels), levels)
    alert = read(context, "changes")
    letters = ledger.db.rows(sa.select(sa.func.count()).select_from(message))[0][0]
    found = len(ledger.stock.alerts.listed(limit=levels))
    kept = sum(ledger.stock.counts("erp").values())
    ledger.close()
    if (kept, found, letters) != (levels, low + 1, 2):
        raise SystemExit(f"{kept} levels, {found} alerts and {letters} letters instead of {levels}, {low + 1} and 2")
    sys.stderr.write(
        f"  Memory before: {before:.0f} MB; all anew: {first:.1f} s, {cpu:.1f} s of them this process's; "
        f"all again: {again:.1f} s; no change: {quiet:.2f} s\n"
    )
    return f"levels={levels} seconds={max(first, again):.1f} rss_mb={rss:.0f} alert_seconds={alert:.2f}"


def measure(engine: str, levels: int, low: int) -> str:
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
            given = [f"config={config}", f"drop={drop}", f"levels={levels}", f"low={low}"]
            command = [sys.executable, __file__, *given]
            subprocess.run([*command, "seed=yes"], check=True, cwd=HOUSE, env=_environment())
            done = subprocess.run(command, check=True, cwd=HOUSE, env=_environment(), stdout=subprocess.PIPE, text=True)
            return f"BENCH stock engine={engine} {done.stdout.splitlines()[-1]}"


def main() -> None:
    """See the top."""
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    levels, low = int(given.get("levels", "100000")), int(given.get("low", "1000"))
    if "seed" in given:
        seed(Path(given["config"]), levels)
        return
    if "config" in given:
        sys.stdout.write(measure_here(Path(given["config"]), Path(given["drop"]), levels, low) + "\n")
        return
    for engine in [given["engine"]] if "engine" in given else ["sqlite", "postgresql"]:
        print(measure(engine, levels, low), flush=True)


if __name__ == "__main__":
    main()
