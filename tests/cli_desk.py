"""The command line over a small configuration of its own.

A module of tests takes the fixtures over by name: `file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed`.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from ledger import Ledger
from tests.world import prepare

TEXT = """\
[ledger]
url = "sqlite:///{folder}/orderwire.db"
[[connection]]
name = "form"
connector = "orderform"
webhook_secrets = ["env:OW_CARE_SECRET"]
[[connection]]
name = "crm"
connector = "vtiger"
url = "http://127.0.0.1:9"
username = "u"
access_key = "env:OW_CARE_SECRET"
owners = {{ sales = "20x2" }}
[[flow]]
name = "orders"
source = "form"
target = "crm"
owner = "sales"
"""


class Typed:
    """The command line over one file, and what it says."""

    def __init__(self, file: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = file
        self.capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self.capsys.readouterr()
        ended = cli.main([*arguments, "--config", self.file])
        said = self.capsys.readouterr()
        self.err = said.err
        assert ended == code, said.err
        return said.out


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The configuration, without its secrets, over a migrated ledger; mira types."""
    monkeypatch.delenv("OW_CARE_SECRET", raising=False)
    monkeypatch.setattr(getpass, "getuser", lambda: "mira")
    path = tmp_path / "orderwire.toml"
    path.write_text(TEXT.format(folder=tmp_path), encoding="utf-8")
    prepare(f"sqlite:///{tmp_path}/orderwire.db")
    return str(path)


@pytest.fixture
def ledger(file: str, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path}/orderwire.db")
    yield opened
    opened.close()


@pytest.fixture
def typed(file: str, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(file, capsys)
