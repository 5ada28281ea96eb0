"""`connections`, `pause`, `resume`, `alerts`, `doctor`, `backup`, `restore` as people use them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from core.errors import RetryLater
from ledger import Ledger, migrate
from ledger.alerts import Condition
from ledger.budget import Limit
from pipelines.health import Health
from tests.cli_desk import TEXT
from tests.world import prepare


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OW_CARE_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")
    path = tmp_path / "orderwire.toml"
    path.write_text(TEXT.format(folder=tmp_path), encoding="utf-8")
    prepare(f"sqlite:///{tmp_path}/orderwire.db")
    assert cli.main(["flow", "live", "orders", "--any-age", "--yes", "--config", str(path)]) == 0
    return str(path)


@pytest.fixture
def ledger(file: str, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path}/orderwire.db")
    migrate.require_current(opened.db)
    yield opened
    opened.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.main(list(arguments)) == 0
    return capsys.readouterr().out


def test_pause_and_resume(file: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "pause", "crm", "--for", "1h30m", "--config", file)
    state = ledger.states.get("crm")
    assert state is not None
    assert 5390 < state.paused_for <= 5400
    assert "paused" in run(capsys, "connections", "--config", file)
    run(capsys, "resume", "crm", "--config", file)
    state = ledger.states.get("crm")
    assert state is not None
    assert state.paused_for == 0


def test_a_connection_that_is_out(file: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    Health(ledger.states).failed(
        "crm", RetryLater("crm is away. What to do: look.", seconds=60, connection="crm", scope="connection")
    )
    found = json.loads(run(capsys, "connections", "--json", "--config", file))
    assert found["crm"]["state"].startswith("out for")
    assert found["form"]["state"] == "not used yet"
    assert "crm is away" in run(capsys, "connections", "--config", file)
    run(capsys, "resume", "crm", "--config", file)
    state = ledger.states.get("crm")
    assert state is not None
    assert state.blocked_for == 0


def test_what_is_left_of_the_budget_of_calls(file: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert "calls_left" not in json.loads(run(capsys, "connections", "--json", "--config", file))["crm"]
    text = Path(file).read_text(encoding="utf-8").replace('username = "u"', 'username = "u"\nrate = 0.5\nburst = 8')
    Path(file).write_text(text, encoding="utf-8")
    ledger.budgets.take("crm", Limit(0.5, 8), 3, live=True)
    found = json.loads(run(capsys, "connections", "--json", "--config", file))
    assert 5 <= found["crm"]["calls_left"] < 7
    assert "calls_left" not in found["form"]
    assert re.search(r"[56] of 8, 0\.5/s", run(capsys, "connections", "--config", file))


@pytest.mark.parametrize("span", ["soon", "1", "-1h", "1h foo"])
def test_a_span_that_is_none(file: str, span: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pause", "crm", f"--for={span}", "--config", file]) == 2
    assert "30m" in capsys.readouterr().err


def test_an_unknown_connection_is_named(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pause", "cmr", "--config", file]) == 2
    assert "What to do" in capsys.readouterr().err


def test_alerts(file: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No alert" in run(capsys, "alerts", "--config", file)
    ledger.alerts.open(Condition("held/orders/money", "1 order is held (money)", "What to do: look."))
    assert "1 order is held (money)" in run(capsys, "alerts", "--config", file)
    ledger.alerts.close("held/orders/money", "gone")
    assert "No alert" in run(capsys, "alerts", "--config", file)
    assert json.loads(run(capsys, "alerts", "--all", "--json", "--config", file))[0]["closing"] == "gone"


def test_doctor_says_that_nothing_ever_came(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "None ever came" in run(capsys, "doctor", "--config", file)


def test_backup_and_restore(file: str, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger.alerts.open(Condition("a", "kept", "m"))
    run(capsys, "backup", str(tmp_path / "copy"), "--config", file)
    assert cli.main(["restore", str(tmp_path / "copy"), "--config", file]) == 2
    assert "move it" in capsys.readouterr().err
    ledger.close()
    for name in ("orderwire.db", "orderwire.db-wal", "orderwire.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    run(capsys, "restore", str(tmp_path / "copy"), "--config", file)
    assert "kept" in run(capsys, "alerts", "--config", file)
