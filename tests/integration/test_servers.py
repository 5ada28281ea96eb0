"""The servers of the fixtures are real, fresh for each test, reachable from elsewhere, and end with their owner."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import PostgresServer, ValkeyServer

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("round_", [1, 2])
def test_each_test_gets_an_empty_database(database_url: str, round_: int) -> None:
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        assert sa.inspect(connection).get_table_names() == []
        connection.execute(sa.text("CREATE TABLE left_behind (id INTEGER)"))
        connection.execute(sa.text("INSERT INTO left_behind VALUES (:id)"), {"id": round_})
        assert connection.execute(sa.text("SELECT id FROM left_behind")).scalar() == round_
    engine.dispose()


def test_postgres_is_dropped_with_clients_still_connected(postgres_server: PostgresServer) -> None:
    with postgres_server.fresh_database() as url:
        name = sa.make_url(url).database or ""
        lingering = postgres_server.connect(name)
    with postgres_server.connect() as admin:
        names = [row[0] for row in admin.execute("SELECT datname FROM pg_database")]
    assert name not in names
    lingering.close()


def test_a_child_process_reaches_the_database(database_url: str) -> None:
    program = "import sys, sqlalchemy as sa; e = sa.create_engine(sys.argv[1]); c = e.connect();"
    program += "print(c.execute(sa.text('SELECT 6 * 7')).scalar()); c.close(); e.dispose()"
    said = subprocess.run([sys.executable, "-c", program, database_url], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == "42"


@pytest.mark.parametrize("round_", [1, 2])
def test_each_test_gets_an_empty_valkey(valkey_url: str, round_: int) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
        client.set("left-behind", round_)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_valkey_wants_its_password(valkey_server: ValkeyServer) -> None:
    with (
        redis.Redis(host="127.0.0.1", port=valkey_server.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_postgres_survives_an_immediate_stop() -> None:
    with PostgresServer() as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
        server.kill()
        server.start()
        with server.connect() as connection:
            assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


def test_postgres_runs_where_its_installed_programs_cannot_be_reached() -> None:
    class Unreachable(PostgresServer):
        def _can_run(self, programs: Path) -> bool:
            return self.folder in programs.parents and super()._can_run(programs)

    with Unreachable() as server:
        assert server.folder in Path(server.command()[0]).parents
        server.ping()


@pytest.mark.parametrize("kind", ["PostgresServer", "ValkeyServer"])
def test_a_killed_parent_leaves_neither_server_nor_folder(kind: str) -> None:
    program = textwrap.dedent(f"""
        import time
        from tests.servers import {kind}
        with {kind}() as server:
            print(server.process.pid, server.folder, flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        assert _is_running(int(pid))
        parent.kill()
    deadline = time.monotonic() + 20
    while _is_running(int(pid)) or Path(folder).exists():
        assert time.monotonic() < deadline, f"{kind} {pid} still runs, or {folder} is still there"
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A process that ended and that nobody has collected yet no longer runs.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_seed_comes_from_the_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_SEED", "271828")
    assert request.getfixturevalue("seed") == 271828
