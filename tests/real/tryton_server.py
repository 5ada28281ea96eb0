"""A real Tryton from the package registry, in a virtual environment of its own: built once and kept in pytest's cache, its
database prepared once and copied for each server.
"""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.servers import Server, ServerNotAvailable

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "tryton-requirements.txt"
PREPARE = HERE / "tryton_prepare.py"
DATABASE = "tryton"
PASSWORD = "a-password-for-tests"
MODULES = (
    "country", "currency", "company", "party", "product", "stock", "account", "account_product", "account_invoice",
    "account_invoice_stock", "sale", "commission",
)  # fmt: skip
LONGEST = 1_200.0
"""Seconds that one step of building may take: a minute alone, far more where many tests share two cores."""
UNREACHABLE = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "ProxyError", "Max retries exceeded")
"""What pip says when there is no registry to be reached, as against a registry that lacks something."""

CONFIGURATION = """\
[database]
uri = sqlite://
path = {folder}
[session]
authentications = password
[password]
length = 4
entropy = 0
[web]
listen = 127.0.0.1:{port}
"""


@dataclass(frozen=True)
class Installed:
    """Tryton's programs, and a database as it is before each test."""

    programs: Path
    database: Path
    seconds: float
    """That it took to build; 0 where it was there already."""


def installed(cache: Path) -> Installed:
    """Build what is not there yet. Several test processes may ask at once: one builds, the others wait."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + PREPARE.read_bytes())
    digest.update(f"{MODULES} {sys.version} {datetime.now(UTC):%Y-%m}".encode())  # the company's open year moves on
    home = cache / digest.hexdigest()[:16]
    started = time.monotonic()
    with _alone(cache / "lock"):
        done = home / "done"
        if not done.exists():
            for old in cache.glob("*/"):
                shutil.rmtree(old, ignore_errors=True)
            _build(home)
            done.touch()
            return Installed(home / "venv" / "bin", home / "prepared.sqlite", time.monotonic() - started)
    return Installed(home / "venv" / "bin", home / "prepared.sqlite", 0.0)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(home: Path) -> None:
    home.mkdir(parents=True)
    venv.create(home / "venv", with_pip=False)
    programs = home / "venv" / "bin"
    _install(programs / "python")
    work = home / "work"
    work.mkdir()
    file = work / f"{DATABASE}.sqlite"
    file.touch()  # trytond fills a database that is there; it makes none
    (work / "trytond.conf").write_text(CONFIGURATION.format(folder=work, port=1), encoding="utf-8")
    (work / "password").write_text(PASSWORD, encoding="utf-8")
    environment = {**os.environ, "TRYTONPASSFILE": str(work / "password")}
    configuration = str(work / "trytond.conf")
    fill = [
        str(programs / "trytond-admin"),
        "-c",
        configuration,
        "-d",
        DATABASE,
        "--email",
        "a@company.example",
        "-u",
        *MODULES,
    ]
    _run(fill, environment)
    _run([str(programs / "python"), str(PREPARE), DATABASE, configuration, str(file), PASSWORD], environment)
    shutil.move(file, home / "prepared.sqlite")


def _install(python: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command = [*pip, "--root-user-action=ignore", "--no-deps", "--require-hashes", "-r", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
    if done.returncode == 0:
        return
    if any(word in done.stderr for word in UNREACHABLE):
        raise ServerNotAvailable("the package registry cannot be reached, and Tryton comes from there")
    raise RuntimeError(f"Tryton cannot be installed:\n{done.stderr[-3000:]}")


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST, env=environment)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")


@dataclass
class TrytonServer(Server):
    """trytond on a free port, with a copy of the prepared database."""

    home: Installed = field(kw_only=True)

    name = "tryton"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        shutil.copy(self.home.database, self.folder / f"{DATABASE}.sqlite")
        configuration = CONFIGURATION.format(folder=self.folder, port=self.port)
        (self.folder / "trytond.conf").write_text(configuration, encoding="utf-8")

    def command(self) -> list[str]:
        programs = self.home.programs
        return [
            str(programs / "python"),
            str(programs / "trytond"),
            "-c",
            str(self.folder / "trytond.conf"),
            "-d",
            DATABASE,
        ]

    def ping(self) -> None:
        try:
            assert self._call("rpc/", "common.server.version", [])
        except httpx.TransportError as error:
            raise ConnectionError(str(error)) from error

    def _call(self, path: str, method: str, params: list[Any], session: str = "") -> Any:
        headers = {"Authorization": f"Session {session}"} if session else {}
        body = {"id": 1, "method": method, "params": params}
        answer = httpx.post(f"{self.url}/{path}", json=body, headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 200, f"{method}: HTTP {answer.status_code}"
        found = answer.json()
        if "error" in found:
            raise RuntimeError(f"{method}: {found['error']}")
        return found["result"]

    def ask(self, method: str, params: list[Any], session: str = "") -> Any:
        """One method, as anybody would call it. Raises RuntimeError for what Tryton refuses."""
        return self._call(f"{DATABASE}/rpc/", method, params, session)

    def login(self, user: str) -> str:
        """The word after `Session` for this user."""
        number, token, *_ = self.ask("common.db.login", [user, {"password": PASSWORD}, "en"])
        return base64.b64encode(f"{user}:{number}:{token}".encode()).decode()


class Office:
    """The people of the company, who change things in Tryton by its own client's calls."""

    def __init__(self, server: TrytonServer, user: str = "admin") -> None:
        self._server, self._session = server, server.login(user)
        self.context: dict[str, Any] = self("model.res.user.get_preferences", True, {})

    def __call__(self, method: str, *params: Any) -> Any:
        return self._server.ask(method, list(params), self._session)

    def do(self, model: str, method: str, *params: Any) -> Any:
        """A method of a model, with this user's context."""
        return self(f"model.{model}.{method}", *params, self.context)

    def find(self, model: str, *domain: Any) -> list[int]:
        """Ids."""
        found: list[int] = self.do(model, "search", list(domain), 0, None, None)
        return found

    def create(self, model: str, **values: Any) -> int:
        """A record's id."""
        return int(self.do(model, "create", [values])[0])

    def write(self, model: str, number: int, **values: Any) -> None:
        self.do(model, "write", [number], values)

    def delete(self, model: str, number: int) -> None:
        self.do(model, "delete", [number])


def decimal(text: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": text}


def day(year: int, month: int, number: int) -> dict[str, Any]:
    return {"__class__": "date", "year": year, "month": month, "day": number}
