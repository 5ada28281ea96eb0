"""`feed status`, `bad`, `accept`, `refuse` and `skip` as people use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger import Ledger
from pipelines import feeds
from pipelines.feedfile import Means
from pipelines.feeds import Round
from tests import cli_desk
from tests.cli_desk import Typed
from tests.drops import Drops, customer

ledger, typed = cli_desk.ledger, cli_desk.typed
_file = cli_desk.file

CONNECTION = """
[[connection]]
name = "erp"
connector = "feed"
folder = "{folder}"
[connection.columns]
KS_CUSTOMERS = {{ reps = 21, region = 22, deleted = 23 }}
[[reps]]
name = "reps"
source = "erp"
"""


@pytest.fixture
def drops(tmp_path: Path) -> Drops:
    return Drops(tmp_path / "drop")


@pytest.fixture
def file(_file: str, drops: Drops, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OW_CARE_SECRET", "0123456789abcdef0123456789abcdef")
    path = Path(_file)
    path.write_text(path.read_text(encoding="utf-8") + CONNECTION.format(folder=drops.folder), encoding="utf-8")
    return _file


def look(ledger: Ledger, drops: Drops) -> None:
    """As the process does that runs beside."""
    one = Round(Means(ledger, drops.erp(), lambda _changes: None, feeds.never))
    one.go()


def shrunk(ledger: Ledger, drops: Drops) -> str:
    """A file that is held."""
    drops.drop("KS_CUSTOMERS", [customer(n) for n in range(20)], "FULL")
    look(ledger, drops)
    name = drops.drop("KS_CUSTOMERS", [customer(n) for n in range(5)], "FULL")
    look(ledger, drops)
    return name


def test_what_was_read_and_what_waits(typed: Typed, ledger: Ledger, drops: Drops) -> None:
    assert "file" in typed("feed", "status")
    name = shrunk(ledger, drops)
    said = typed("feed", "status", "erp", code=1)
    assert "20 rows: 20 new" in " ".join(said.split())
    assert f"`orderwire feed accept {name}`" in " ".join(said.split())
    told = json.loads(typed("feed", "status", "--json", code=1))
    assert [(one["file"], one["state"], one["rows"]) for one in told["files"]] == [
        (name, "held", 5),
        ("DT_0000001_KS_CUSTOMERS.FULL", "done", 20),
    ]
    assert len(told["waiting"]) == 1


@pytest.mark.parametrize(("word", "state", "left"), [("accept", "done", 5), ("refuse", "refused", 20)])
def test_a_person_decides(typed: Typed, ledger: Ledger, drops: Drops, word: str, state: str, left: int) -> None:
    name = shrunk(ledger, drops)
    typed("feed", word, name)
    look(ledger, drops)
    found = ledger.feeds.file("erp", name)
    assert found is not None
    assert (found.state, found.decided_by) == (state, "mira (command line)")
    assert ledger.feeds.extent("erp", "customer")[0] == left
    (note,) = ledger.audit.list(subject="feed/erp")
    assert (note.actor, note.facts["file"]) == ("mira (command line)", name)
    typed("feed", word, name, code=2)
    assert "is not held: it is" in typed.err
    typed("feed", "status")


def test_bad_rows_by_line_and_reason(typed: Typed, ledger: Ledger, drops: Drops) -> None:
    name = drops.drop("KS_CUSTOMERS", [*[customer(n) for n in range(20)], "C20\tcut off"], "FULL")
    look(ledger, drops)
    said = " ".join(typed("feed", "bad", name).split())
    assert "21 C20 It has 2 columns instead of 23" in said
    assert f"1 rows of {name} were not taken in." in said
    assert json.loads(typed("feed", "bad", name, "--json"))[0]["line"] == 21


def test_a_number_that_never_comes(typed: Typed, ledger: Ledger, drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1)], "FULL")
    drops.number = 2
    name = drops.drop("KS_CUSTOMERS", [customer(2)])
    look(ledger, drops)
    assert "Number 0000002 is missing" in " ".join(typed("feed", "status", code=1).split())
    typed("feed", "skip", "erp", "3", code=2)
    assert "it is 2" in typed.err
    assert "Number 0000002 is passed over" in typed("feed", "skip", "erp", "2")
    look(ledger, drops)
    found = ledger.feeds.file("erp", name)
    assert found is not None
    assert found.state == "done"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bad", "nothing.csv"), "No file nothing.csv was read or begun."),
        (("accept", "nothing.csv"), "No file nothing.csv was read or begun."),
        (("skip", "crm", "2"), "There is no ERP 'crm'."),
    ],
)
def test_what_is_not_there_is_said(typed: Typed, arguments: tuple[str, ...], said: str) -> None:
    typed("feed", *arguments, code=2)
    assert said in typed.err
    assert "What to do: " in typed.err
