"""The command line as people use it: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import cli
from core.clock import Clock
from core.keys import Change, Key
from ledger import Ledger, migrate
from ledger.inbox import Route
from sandbox.crm.app import crm_app
from sandbox.serve import running

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef"
HOOK = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


@pytest.fixture(scope="module")
def crm() -> Iterator[str]:
    with running(crm_app(access_key=KEY)) as address:
        yield address


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_ACCESS_KEY", KEY)
    monkeypatch.setenv("FORM_WEBHOOK_SECRET", HOOK)
    monkeypatch.delenv("ORDERWIRE_CONFIG", raising=False)


@pytest.fixture
def file(tmp_path: Path, crm: str) -> Path:
    """A configuration whose connections can be reached, and a database with its schema."""
    path = tmp_path / "orderwire.toml"
    path.write_text(
        f"""\
[ledger]
url = "sqlite:///{tmp_path}/orderwire.db"
[web]
port = 0
[[connection]]
name = "form"
connector = "orderform"
webhook_secrets = ["env:FORM_WEBHOOK_SECRET"]
[[connection]]
name = "crm"
connector = "vtiger"
url = "{crm}"
username = "apiuser"
access_key = "env:CRM_ACCESS_KEY"
owners = {{ sales = "20x2" }}
currencies = {{ EUR = "21x1" }}
[[flow]]
name = "orders"
source = "form"
target = "crm"
owner = "sales"
""",
        encoding="utf-8",
    )
    assert cli.main(["db", "upgrade", "--config", str(path)]) == 0
    assert cli.main(["flow", "live", "orders", "--any-age", "--yes", "--config", str(path)]) == 0
    return path


@pytest.fixture
def jobs(file: Path) -> Path:
    """Two orders in the ledger, waiting."""
    ledger = Ledger.open(f"sqlite:///{file.parent}/orderwire.db")
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ledger.inbox.accept(
        [
            Change(Key("form", "order", n), moment, b'{"order": %s}' % n.encode(), f"d{n}", number=f"A-{n}")
            for n in ("1", "2")
        ],
        lambda _key: [Route("orders", "crm", "live")],
        via="webhook",
    )
    ledger.close()
    return file


def test_help_names_every_command_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in ["up", "web", "worker", "demo", "init", "check", "fetch", "backfill", "config", "jobs", "db"]:
        assert re.search(rf"^  {command} +[A-Z]", text, re.MULTILINE), command


COMMANDS = [
    "up",
    "web",
    "worker",
    "demo",
    "init",
    "check",
    "fetch",
    "backfill",
    "config show",
    "config validate",
    "jobs list",
    "jobs show",
    "jobs retry",
    "jobs skip",
    "db upgrade",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command.split(), "--help"]) == 0
    assert f"Usage: orderwire {command}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nonsense"], ["jobs", "show", "x"], ["backfill"], ["jobs", "skip", "1"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert "Usage: orderwire" in captured.err
    assert "Traceback" not in captured.err


def test_a_missing_file_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["config", "validate"], ["check"], ["up"], ["jobs", "list"]):
        assert cli.main([*command, "--config", str(tmp_path / "none.toml")]) == 2
        error = capsys.readouterr().err
        assert "cannot be read" in error
        assert "orderwire init" in error
        assert "Traceback" not in error


def test_debug_shows_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--config", str(tmp_path / "none.toml"), "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


# -- configuration -----------------------------------------------------------------------------------------------------


def test_validate(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    capsys.readouterr()
    assert cli.main(["config", "validate", "-c", str(file)]) == 0
    assert "all is well (2 connections, 1 flows)" in capsys.readouterr().out
    monkeypatch.delenv("CRM_ACCESS_KEY")
    file.write_text(file.read_text(encoding="utf-8").replace('owner = "sales"', 'owner = "salse"'), encoding="utf-8")
    assert cli.main(["config", "validate", "-c", str(file)]) == 2
    error = capsys.readouterr().err
    assert f"{file}:21: flow.orders.owner: the owners table of 'crm' has no 'salse' (did you mean \"sales\"?)" in error
    assert f"{file}:14: connection.crm.access_key: A secret is missing" in error
    assert cli.main(["config", "validate", "-c", str(file), "--json"]) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [(problem["line"], problem["missing_secret"]) for problem in problems] == [(14, True), (21, False)]


def test_show(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_WORKER__THREADS", "3")
    capsys.readouterr()
    assert cli.main(["config", "show", "-c", str(file), "--json"]) == 0
    text = capsys.readouterr().out
    shown = {value["path"]: (value["value"], value["origin"]) for value in json.loads(text)}
    assert shown["worker.threads"] == ("3", "env:ORDERWIRE_WORKER__THREADS")
    assert shown["connection.crm.access_key"] == ("env:CRM_ACCESS_KEY", "file:14")
    assert shown["flow.orders.guests"] == ("match", "default")
    assert cli.main(["config", "show", "-c", str(file)]) == 0
    text += capsys.readouterr().out
    assert KEY not in text
    assert HOOK not in text


def test_check(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    capsys.readouterr()
    cli.main(["check", "-c", str(file), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert {finding["connection"] for finding in found} == {"ledger", "form", "crm"}
    assert next(f for f in found if f["subject"] == "login")["level"] == "ok"
    monkeypatch.setenv("CRM_ACCESS_KEY", "wrong")
    assert cli.main(["check", "-c", str(file)]) == 1
    text = capsys.readouterr().out
    assert "PROBLEM" in text
    assert "What to do" in text
    monkeypatch.delenv("CRM_ACCESS_KEY")
    assert cli.main(["check", "-c", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [f["message"] for f in found if f["connection"] == "crm"] == [
        "A secret is missing: the environment variable CRM_ACCESS_KEY is empty or not set."
    ]


def test_check_tells_of_a_database_without_schema(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = file.read_text(encoding="utf-8").replace("orderwire.db", "other.db")
    file.write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["check", "-c", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    [(level, advice)] = [(f["level"], f["what_to_do"]) for f in found if f["connection"] == "ledger"]
    assert level == "problem"
    assert advice.startswith("run `orderwire db upgrade`")
    assert cli.main(["jobs", "list", "-c", str(file)]) == 2
    assert "orderwire db upgrade" in capsys.readouterr().err


# -- init --------------------------------------------------------------------------------------------------------------


def test_init_writes_what_works(tmp_path: Path, crm: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "orderwire.toml"
    settings = [f"url={crm}", "username=apiuser", "access_key=env:CRM_ACCESS_KEY", 'owners={ sales = "20x2" }']
    settings += ['currencies={ EUR = "21x1" }', 'unknown_product="OF-100"']
    given = [part for one in settings for part in ("--set", one)]
    assert cli.main(["init", "-c", str(file), "--connector", "vtiger", "--name", "crm", *given]) == 0
    out = capsys.readouterr().out
    assert "logged in as apiuser" in out
    assert "export CRM_ACCESS_KEY=..." in out
    hook = ["--set", 'webhook_secrets=["env:FORM_WEBHOOK_SECRET"]']
    assert cli.main(["init", "-c", str(file), "--connector", "orderform", "--name", "form", *hook]) == 0
    assert "the flow orders" in capsys.readouterr().out
    text = file.read_text(encoding="utf-8")
    assert KEY not in text
    assert 'owners = { sales = "20x2" }' in text
    assert cli.main(["config", "validate", "-c", str(file)]) == 0
    assert "2 connections, 1 flows" in capsys.readouterr().out


def test_init_keeps_what_was_there(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file.read_text(encoding="utf-8")
    arguments = ["init", "-c", str(file), "--connector", "orderform", "--name", "form2", "--no-flow", "--no-test"]
    assert cli.main(arguments) == 0
    assert file.read_text(encoding="utf-8") == before + '\n[[connection]]\nname = "form2"\nconnector = "orderform"\n'
    assert cli.main(arguments) == 2
    assert "the name 'form2' is taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--connector", "vtigre"], 2, "There is no connector 'vtigre'"),
        (["--connector", "vtiger"], 2, "There is nobody to ask: Name of the connection?"),
        (["--connector", "vtiger", "--name", "crm"], 2, "There is nobody to ask: url?"),
        (["--connector", "orderform", "--name", "Form"], 2, "must look like a short name"),
        (["--connector", "orderform", "--name", "form", "--set", "chanel=x"], 2, 'did you mean "channel"?'),
        (
            ["--connector", "orderform", "--name", "form", "--set", 'webhook_secrets=["whsec_x"]'],
            2,
            "given by reference",
        ),
    ],
)
def test_init_refuses(
    more: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "orderwire.toml"
    assert cli.main(["init", "-c", str(file), *more]) == code
    assert said in capsys.readouterr().err
    assert not file.exists()


def test_init_writes_nothing_when_the_test_fails(
    tmp_path: Path, crm: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRM_ACCESS_KEY", "wrong")
    file = tmp_path / "orderwire.toml"
    arguments = ["init", "-c", str(file), "--connector", "vtiger", "--name", "crm", "--set", f"url={crm}"]
    arguments += ["--set", "username=apiuser", "--set", "access_key=env:CRM_ACCESS_KEY"]
    assert cli.main(arguments) == 1
    assert "Nothing was written" in capsys.readouterr().err
    assert not file.exists()
    assert cli.main([*arguments, "--no-test"]) == 0
    assert file.exists()


# -- jobs --------------------------------------------------------------------------------------------------------------


def listed(file: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[tuple[int, str, str]]:
    capsys.readouterr()
    assert cli.main(["jobs", "list", "-c", str(file), "--json", *more]) == 0
    return [(job["id"], job["state"], job["number"]) for job in json.loads(capsys.readouterr().out)]


def test_jobs(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(jobs, capsys) == [(2, "waiting", "A-2"), (1, "waiting", "A-1")]
    assert listed(jobs, capsys, "--search", "A-1") == [(1, "waiting", "A-1")]
    assert listed(jobs, capsys, "--search", "form/order/2") == [(2, "waiting", "A-2")]
    assert listed(jobs, capsys, "--state", "held") == []
    assert listed(jobs, capsys, "--flow", "other") == []
    assert listed(jobs, capsys, "--limit", "1") == [(2, "waiting", "A-2")]
    assert cli.main(["jobs", "list", "-c", str(jobs)]) == 0
    assert re.search(r"^1 +waiting +A-1 +orders", capsys.readouterr().out, re.MULTILINE)
    assert cli.main(["jobs", "list", "-c", str(jobs), "--state", "hold"]) == 2
    assert "use one of waiting, running" in capsys.readouterr().err


def test_skip_and_retry(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["jobs", "skip", "1", "--reason", "typed by hand", "-c", str(jobs)]) == 0
    assert "Job 1 is skipped." in capsys.readouterr().out
    assert listed(jobs, capsys, "--state", "skipped") == [(1, "skipped", "A-1")]
    assert cli.main(["jobs", "skip", "1", "--reason", "again", "-c", str(jobs)]) == 1
    assert "Job 1 is skipped and cannot be changed now." in capsys.readouterr().err
    assert cli.main(["jobs", "retry", "1", "2", "-c", str(jobs)]) == 0
    assert listed(jobs, capsys) == [(2, "waiting", "A-2"), (1, "waiting", "A-1")]
    assert cli.main(["jobs", "skip", "1", "--reason", "  ", "-c", str(jobs)]) == 2


def test_all_or_none_must_exist(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["jobs", "skip", "1", "99", "--reason", "x", "-c", str(jobs)]) == 1
    assert "There is no job 99. What to do:" in capsys.readouterr().err
    assert listed(jobs, capsys, "--state", "skipped") == []


def test_show_job(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(["jobs", "show", "2", "-c", str(jobs), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["job"]["key"] == "form/order/2"
    assert len(shown["events"]) == 1
    assert shown["attempts"] == shown["links"] == shown["invoices"] == []
    assert cli.main(["jobs", "show", "2", "-c", str(jobs)]) == 0
    said = capsys.readouterr().out
    assert "deliveries: 1" in said
    assert "invoices: 0" in said
    assert cli.main(["jobs", "show", "7", "-c", str(jobs)]) == 1


def test_jobs_need_no_secrets_of_shops(
    jobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CRM_ACCESS_KEY")
    assert len(listed(jobs, capsys)) == 2


# -- stores and database -----------------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_asked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["fetch", "form", "1"],
        ["fetch", "crm", "1"],
        ["backfill", "--since", "2026-01-01", "--flow", "orders"],
    ):
        assert cli.main([*command, "-c", str(file)]) == 2
        assert "cannot be asked for orders. What to do:" in capsys.readouterr().err
    assert cli.main(["fetch", "nobody", "1", "-c", str(file)]) == 2
    assert "There is no connection named 'nobody'" in capsys.readouterr().err
    assert cli.main(["backfill", "--since", "yesterday", "-c", str(file)]) == 2
    assert "is not a day or time" in capsys.readouterr().err


def test_db_upgrade_can_be_repeated(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(["db", "upgrade", "-c", str(file)]) == 0
    assert f"schema is {migrate.head()} (it was {migrate.head()})" in capsys.readouterr().out


def test_a_database_that_is_not_there_is_not_made_by_looking(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = tmp_path / "elsewhere.sqlite"
    text = re.sub('url = "sqlite.*"', f'url = "sqlite:///{away}"', file.read_text("utf-8"))
    file.write_text(text, encoding="utf-8")
    assert cli.main(["jobs", "list", "-c", str(file)]) == 2
    assert f"There is no database {away} yet. What to do: run `orderwire db upgrade`" in capsys.readouterr().err
    cli.main(["check", "-c", str(file)])
    assert "There is no database" in " ".join(capsys.readouterr().out.split())
    assert not away.exists()


def test_a_database_that_is_away(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = re.sub(
        'url = "sqlite.*"', 'url = "postgresql+psycopg://orderwire@127.0.0.1:1/none"', file.read_text("utf-8")
    )
    file.write_text(text, encoding="utf-8")
    assert cli.main(["jobs", "list", "-c", str(file)]) == 1
    error = capsys.readouterr().err
    assert "The database does not answer" in error
    assert "Traceback" not in error


# -- processes ---------------------------------------------------------------------------------------------------------


class Process:
    """`orderwire ...` as a process of its own; its output is read line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "cli.py", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        )

    def said(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"it ended with {self.process.wait()} and never said {pattern!r}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


def get(address: str) -> str:
    return httpx.get(address, timeout=10, trust_env=False).text


def eventually(address: str, text: str) -> str:
    clock = Clock()
    deadline = clock.monotonic() + 60
    while text not in (page := get(address)):
        assert clock.monotonic() < deadline, page
        time.sleep(0.1)
    return page


def add_broker(file: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = urlsplit(address)
    monkeypatch.setenv("VALKEY_PASSWORD", str(url.password))
    broker = (
        f'[worker]\nbroker = "redis://{url.hostname}:{url.port}{url.path}"\nbroker_password = "env:VALKEY_PASSWORD"\n'
    )
    file.write_text(file.read_text(encoding="utf-8") + broker, encoding="utf-8")


STARTS = pytest.mark.timeout(180)  # a first start compiles every library, on a machine that may be busy


@STARTS
@pytest.mark.parametrize(("command", "with_broker"), [("up", False), ("web", False), ("web", True)])
def test_it_listens_and_ends_in_peace(
    command: str, with_broker: bool, file: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if with_broker:
        add_broker(file, request.getfixturevalue("valkey_url"), monkeypatch)
    process = Process(command, "-c", str(file))
    try:
        address = process.said(r"listens at (http://\S+);").group(1)
        assert json.loads(eventually(f"{address}/livez", "true"))["ok"] is True
        assert json.loads(get(f"{address}/readyz"))["ok"] is True
    finally:
        code = process.stop()
    assert code == 0


@STARTS
@pytest.mark.parametrize("with_broker", [False, True])
def test_a_worker_works_and_ends_in_peace(
    with_broker: bool,
    jobs: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if with_broker:
        add_broker(jobs, request.getfixturevalue("valkey_url"), monkeypatch)
    process = Process("worker", "-c", str(jobs))
    try:
        process.said("works with 8 threads")
        deadline = Clock().monotonic() + 60
        while len(listed(jobs, capsys, "--state", "held")) < 2:
            assert process.process.poll() is None, "it ended by itself"
            assert Clock().monotonic() < deadline, listed(jobs, capsys)
    finally:
        code = process.stop()
    assert code == 0


@STARTS
def test_a_taken_port_is_a_sentence(file: Path, capsys: pytest.CaptureFixture[str], crm: str) -> None:
    taken = crm.rpartition(":")[2]
    file.write_text(file.read_text(encoding="utf-8").replace("port = 0", f"port = {taken}"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "cli.py", "up", "-c", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 2
    assert f"Port {taken} on 127.0.0.1 cannot be opened" in done.stderr
    assert "What to do:" in done.stderr
    assert "Traceback" not in done.stderr


@STARTS
@pytest.mark.slow
def test_the_demo_carries_an_order() -> None:
    process = Process(
        "demo", "--port", "0", "--crm-port", "0", "--store-port", "0", "--erp-port", "0", "--portal-port", "0",
        "--mail-port", "0",
    )  # fmt: skip
    try:
        store = process.said(r"The store: +(http://\S+)").group(1)
        crm_pages = process.said(r"The CRM: +(http://\S+)").group(1)
        process.said("listens at")
        form = {
            "company": "Müller & Co KG",
            "first_name": "Jörg",
            "last_name": "Müller",
            "email": "einkauf@mueller.example",
        }
        form |= {"line1": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin", "country": "DE", "currency": "EUR"}
        form |= {"sku_1": "OF-100", "quantity_1": "3", "price_mode": "net"}
        form |= {"payment_method": "invoice", "shipping_method": "standard"}
        answer = httpx.post(f"{store}/orders", data=form, timeout=10, trust_env=False)
        assert answer.status_code == 303, answer.text
        page = eventually(f"{crm_pages}/orders", "Order 1001")
        assert "22.34" in page
        assert "Müller &amp; Co KG" in page
    finally:
        code = process.stop()
    assert code == 0
