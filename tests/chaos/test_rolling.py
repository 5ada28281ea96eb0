"""Processes end by SIGTERM and start anew, and the schema grows, while orders flow: nobody notices."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger import migrate
from ledger.database import Database
from tests.chaos.conftest import MakeCase, MakeFleet, engine_of, selling
from tests.chaos.harness.case import wait
from tests.chaos.harness.fleet import Fleet, Plan, get
from tests.chaos.harness.scale import limit
from tests.chaos.harness.shop import Orders, Shop, Version, percentile, post
from tests.servers import free_port

pytestmark = pytest.mark.chaos

ROUNDS = 2
WITHIN = 30.0
"""Seconds that a process may take to finish what runs."""
both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@contextmanager
def flowing(shop: Shop, orders: Orders, *, per_second: float, customers: int) -> Iterator[list[int]]:
    """Orders come at a rate until the block ends; how many came."""
    stop, count = threading.Event(), [0]

    def sell() -> None:
        while not stop.wait(1 / per_second):
            shop.send([orders.new(orders.dice.randint(1, customers))])
            count[0] += 1

    thread = threading.Thread(target=sell)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


def stopped(fleet: Fleet, name: str) -> int | None:
    """SIGTERM; the exit code."""
    child = fleet.children.pop(name)
    child.send(signal.SIGTERM)
    try:
        assert child.ended(WITHIN), f"{name} did not end:\n{child.tail()}"
        return fleet.nursery.status(child)
    finally:
        child.close()


def settled(fleet: Fleet) -> int:
    return fleet.jobs.counts().get("settled", 0)


@pytest.mark.timeout(limit(120))
@both
def test_rolling_restart(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    """SQLite: the one process there is. PostgreSQL: web and two workers, one after the other."""
    engine = engine_of(database_url)
    this = case("rolling", engine=engine)
    plan = Plan(workers=0 if engine == "sqlite" else 2)
    codes: dict[str, list[int | None]] = {}
    with installation(database_url, plan) as fleet, selling(fleet, senders=6) as shop:
        with flowing(shop, Orders(seed), per_second=20, customers=40) as count:
            assert wait(lambda: settled(fleet) > 5, 90)
            for _ in range(ROUNDS):
                for name in fleet.names:
                    assert wait(lambda: fleet.jobs.counts().get("running", 0) > 0, 90, every=0.005), "nothing ran"
                    before = settled(fleet)
                    codes.setdefault(name, []).append(stopped(fleet, name))
                    fleet.start(name)
                    assert wait(lambda before=before: settled(fleet) > before + 5, 90), fleet.tails()  # type: ignore[misc]
        shop.sent(120)
        found = this.settle(fleet, shop)
        outcomes = dict(fleet.jobs.rows("SELECT outcome, count(*) FROM attempt GROUP BY outcome"))
        crashes = fleet.jobs.rows("SELECT coalesce(sum(crashes), 0) FROM job")[0][0]
        this.passes(count[0], found, restarts=sum(map(len, codes.values())), refused=shop.statuses.get(0, 0))
        assert codes == {name: [0] * ROUNDS for name in fleet.names}, fleet.tails()
        assert outcomes.keys() <= {"settled", "retry"}, outcomes
        assert crashes == 0
        assert set(shop.statuses) <= {0, 200}, "a connection is refused while there is no process, and nothing else"
        assert not fleet.ended, fleet.ended


class Proxied(Shop):
    """Behind a proxy that asks the next process where one does not answer."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.passed_on = 0
        self._turn = itertools.count()
        super().__init__(lambda: addresses[0], senders=6)

    def post(self, version: Version) -> int:
        headers, body = version.delivery(self.at)
        turn, status = next(self._turn), 0
        for number in range(len(self.addresses)):
            address = self.addresses[(turn + number) % len(self.addresses)]
            status = post(address, f"/hooks/{version.shop}", headers, body)
            if status:
                break
            self.passed_on += 1
        with self._lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
        if 200 <= status < 300:
            self.note(version)
        return status


@pytest.mark.timeout(limit(120))
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_rolling_restart_of_two_web_processes(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    """The shop's proxy asks the other one where one does not answer: no delivery has to be sent again."""
    this = case("rolling-web", engine="postgres")
    with installation(database_url, Plan(workers=1)) as fleet:
        port = free_port()
        second = fleet.folder / "second.toml"
        second.write_text(fleet.file.read_text().replace(f"port = {fleet.port}\n", f"port = {port}\n"))
        files = {"web": (fleet.file, fleet.web_url), "web-2": (second, f"http://127.0.0.1:{port}")}

        def start(name: str) -> None:
            arguments = ["web", "--config", str(files[name][0]), "--log-level", "warning"]
            fleet.children[name] = fleet.nursery.start(name, "cli", arguments, fleet.folder / f"{name}.log")
            assert wait(lambda: get(files[name][1], "/readyz")[0] == 200, 90), fleet.tails()

        start("web-2")
        shop = Proxied(*(address for _, address in files.values()))
        try:
            with flowing(shop, Orders(seed), per_second=40, customers=40) as count:
                for name in ("web", "web-2") * ROUNDS:
                    taken(shop, 20)
                    assert stopped(fleet, name) == 0, fleet.tails()
                    taken(shop, 20)
                    start(name)
            shop.sent(120)
            found = this.settle(fleet, shop)
            this.passes(count[0], found, restarts=2 * ROUNDS, passed_on=shop.passed_on)
            assert set(shop.statuses) == {200}, shop.statuses
            assert shop.passed_on, "nobody was ever passed on"
        finally:
            shop.close()


def taken(shop: Shop, more: int) -> None:
    """Wait for so many orders more."""
    before = len(shop.newest())
    assert wait(lambda: len(shop.newest()) >= before + more, 90), shop.statuses


# -- the schema grows --------------------------------------------------------------------------------------------------

EXPANDING = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = {head!r}


def upgrade():
    op.add_column("job", sa.Column("weight", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("link", sa.Column("synthetic_remark", sa.Text()))
    op.create_table("synthetic_remark", sa.Column("id", sa.BigInteger(), primary_key=True), sa.Column("text", sa.Text()))


def downgrade():
    op.drop_table("synthetic_remark")
"""
INDEX = """
from alembic import op

from ledger import migrate

revision = "9002"
down_revision = "9001"


def upgrade():
    migrate.index_beside("ix_record_updated", "record", ["updated_at"])


def downgrade():
    op.drop_index("ix_record_updated", "record")
"""


@pytest.mark.timeout(limit(120))
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_the_schema_grows_under_load(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int, tmp_path: Path
) -> None:
    """A migration meets a table that somebody keeps locked: it lets go and tries again, and intake goes on."""
    this = case("migration", engine="postgres")
    folder = tmp_path / "versions"
    folder.mkdir()
    (folder / "9001_synthetic.py").write_text(EXPANDING.format(head=migrate.head()))
    (folder / "9002_synthetic.py").write_text(INDEX)
    with installation(database_url, Plan(workers=1)) as fleet, selling(fleet, senders=6) as shop:
        db = Database(database_url)
        try:
            with flowing(shop, Orders(seed), per_second=30, customers=40) as count:
                assert wait(lambda: settled(fleet) > 5, 90)
                upgraded = threading.Thread(target=migrate.upgrade, args=(db,), kwargs={"folders": (folder,)})
                with report_on_jobs(database_url):
                    upgraded.start()
                    shop.took.clear()
                    threading.Event().wait(REPORT)
                    assert migrate.current(db) == migrate.head(), "it did not wait"
                upgraded.join(120)
                assert migrate.current(db) == "9002", "it did not try again"
                before = settled(fleet)
                assert wait(lambda: settled(fleet) > before + 20, 90), fleet.tails()
                assert get(fleet.web_url, "/readyz")[0] == 200, "the program before works with what only grew"
                for name in fleet.names:  # and starts
                    assert stopped(fleet, name) == 0, fleet.tails()
                    fleet.start(name)
                fleet.ready()
            shop.sent(120)
            found = this.settle(fleet, shop)
            p99 = percentile(shop.took, 0.99)
            this.passes(count[0], found, web_p99_ms=round(p99))
            assert set(shop.statuses) <= {0, 200}, shop.statuses
            assert max(shop.took) < REPORT * 800, f"a delivery waited {max(shop.took):.0f} ms behind the migration"
            assert not fleet.ended, fleet.ended
        finally:
            db.close()


REPORT = 9.0
"""Seconds that the report takes: so long would deliveries wait behind a migration that does not let go."""


@contextmanager
def report_on_jobs(url: str) -> Iterator[None]:
    """A report that reads jobs in one long transaction, as backups do."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT count(*) FROM job"))
        yield
    engine.dispose()
