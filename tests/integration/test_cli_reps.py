"""`orderwire reps ...` as people use it, over a small configuration."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path

import pytest

from core.keys import Change, Key
from ledger import Ledger
from ledger.reps import AbsenceRow, Answer, AssignmentRow, Concern
from pipelines.repbook import book
from tests import cli_desk
from tests.cli_desk import Typed

file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed
TRYTON = """
[[connection]]
name = "erp"
connector = "tryton"
url = "http://127.0.0.1:9/"
database = "tryton"
username = "u"
password = "env:OW_CARE_SECRET"
[[reps]]
name = "reps"
source = "erp"
target = "crm"
"""


@pytest.fixture(autouse=True)
def with_an_erp(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OW_CARE_SECRET", "secret")
    with Path(file).open("a", encoding="utf-8") as text:
        text.write(TRYTON)


def customer(ledger: Ledger, number: str, *codes: str, active: bool = True, shown: str = "", agency: str = "") -> None:
    """What a job would have kept of this customer."""
    reps = [{"code": shown, "agency": agency}] if shown else []
    answer = Answer(
        card="{}",
        digest=number,
        seen_on=date(2026, 11, 20),
        rep=shown,
        resolution=json.dumps({"reps": reps, "active": active, "assigned": [[agency, code] for code in codes]}),
    )
    ledger.reps.save_card("erp", number, answer, concerns=[Concern("rep", code) for code in codes])


def found(typed: Typed, *, code: int = 1) -> dict[tuple[str, str], dict[str, object]]:
    told = json.loads(typed("reps", "check", "--on", "2026-11-20", "--json", code=code))
    return {(one["kind"], one["subject"]): one for one in told}


def test_all_is_well(typed: Typed, ledger: Ledger) -> None:
    assert "All is well" in typed("reps", "check")


def test_check_tells_each_thing_with_what_to_do(typed: Typed, ledger: Ledger) -> None:
    put = ledger.reps.put_rep
    put("erp", "sales", {"name": "Sally"})  # has a name in the CRM
    put("erp", "R8", {"name": "Left", "active": False})
    put("erp", "R9", {"name": "Away"}, agency="OUT")
    put("erp", "R10", {"name": "Idle"})
    ledger.reps.add_absences("erp", [AbsenceRow("R9", date(2026, 11, 1), None, "", "OUT")])
    customer(ledger, "1", "sales", shown="sales")
    customer(ledger, "2", "R7", "R8", shown="R8")
    customer(ledger, "3", "R7")
    customer(ledger, "4", active=False)
    ledger.reps.save_card(
        "erp",
        "5",
        Answer("{}", "5", date(2026, 11, 20), rep="R9", resolution="{}"),
        concerns=[Concern("rep", "R9", "OUT")],
    )

    told = found(typed)

    assert set(told) == {
        ("code without a person", "R7"),
        ("customer without a rep", "3"),
        ("departed rep still shown", "R8"),
        ("departed rep still assigned", "R8"),
        ("away without a deputy", "R9"),
        ("agency unknown", "R9"),
        ("person without a customer", "R10"),
        ("rep without a name in the CRM", "R9"),
    }
    assert told["code without a person", "R7"]["customers"] == 2
    assert told["departed rep still shown", "R8"]["examples"] == ["2"]
    assert all(one["what_to_do"] for one in told.values())
    assert [one["grave"] for one in told.values()].count(True) == 4
    table = typed("reps", "check", "--on", "2026-11-20", code=1)
    assert "PROBLEM" in table
    assert "What to do: `orderwire reps reassign --from R8 --to CODE`" in table.replace("\n", " ").replace("  ", " ")


def test_warnings_alone_are_no_failure(typed: Typed, ledger: Ledger) -> None:
    ledger.reps.put_rep("erp", "R10", {"name": "Idle"})
    assert list(found(typed, code=0)) == [("person without a customer", "R10")]


def test_a_table_goes_out_and_comes_back_unchanged(typed: Typed, ledger: Ledger, tmp_path: Path) -> None:
    ledger.reps.put_rep(
        "erp", "R7", {"name": "Anna", "email": "a@firm.example", "languages": ["de", "en"]}, told="erp", record_id="R7"
    )
    ledger.reps.put_rep("erp", "R7", {"phone": "+49 30 1", "released": ["email", "phone"]}, owner="sales")
    ledger.reps.put_agency("erp", "OUT", {"name": "=Outside", "own": False})
    ledger.reps.add_absences("erp", [AbsenceRow("R7", date(2026, 12, 1), date(2026, 12, 9), "R9")])
    ledger.reps.add_assignments("erp", [AssignmentRow("region", "EAST", "R7", rank=2, first=date(2027, 1, 1))])
    before = book(ledger, "erp")
    for table in ("reps", "agencies", "absences", "assignments"):
        out = tmp_path / f"{table}.csv"
        assert "1 lines of" in typed("reps", "export", table, "--out", str(out))
        said = typed("reps", "import", table, str(out))
        assert "0 lines taken in, 1 said nothing new, 0 cannot be used." in said
    assert book(ledger, "erp") == before
    (row,) = csv.DictReader(io.StringIO(typed("reps", "export", "agencies")))
    assert row["name"].startswith("'="), "no cell begins a formula"


def test_what_people_write_wins_and_an_empty_cell_leaves_the_word_to_the_erp(
    typed: Typed, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.reps.put_rep("erp", "R7", {"name": "Anna", "phone": "1"}, told="erp", record_id="R7")
    file = tmp_path / "reps.csv"
    file.write_text("code;name;phone;owner\nR7;;2;sales\nR9;Boris;;\n", encoding="cp1252")
    assert "2 lines taken in" in typed("reps", "import", "reps", str(file))
    kept = book(ledger, "erp")
    named = {rep.code: (rep.name, rep.phone) for rep in kept.directory.reps}
    assert named == {"R7": ("Anna", "2"), "R9": ("Boris", "")}
    assert kept.owners == {("", "R7"): "sales"}
    (entry,) = [one for one in ledger.reps.reps("erp") if one.code == "R7"]
    assert entry.own == {"phone": "2"}
    assert entry.updated_by == "mira (command line)"

    file.write_text("code,phone\nR7,\n", encoding="utf-8")
    typed("reps", "import", "reps", str(file))
    assert book(ledger, "erp").directory.named("R7").phone == "1"  # type: ignore[union-attr]


def test_lines_that_are_wrong_are_listed_and_the_good_ones_go_on(typed: Typed, ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "absences.csv"
    file.write_text(
        "rep,first,last,deputy\nR7,2026-12-01,2026-12-09,R9\nR7,soon,,\nR8,2026-12-09,2026-12-01,\nR9,2026-12-01,,R9\n,2026-12-01,,\n"
    )
    said = typed("reps", "import", "absences", str(file), "--dry-run", code=1)
    assert "1 lines would be taken in" in said
    assert ledger.reps.absences("erp") == []
    said = typed("reps", "import", "absences", str(file), "--json", code=1)
    told = json.loads(said)
    assert (told["taken"], [one["line"] for one in told["bad"]]) == (1, [3, 4, 5, 6])
    assert all("What to do" in one["reason"] for one in told["bad"])
    assert [row.rep for row in ledger.reps.absences("erp")] == ["R7"]


@pytest.mark.parametrize(
    ("table", "text", "word"),
    [
        ("assignments", "subject,subject_id,rep\nplanet,1,R7\n", "planet"),
        ("assignments", "subject,subject_id,rep\nteam,1,R7\n", "subject_id"),
        ("assignments", "subject,subject_id,rep\ncustomer,,R7\n", "subject_id"),
        ("assignments", "subject,subject_id,rep\nship_to,10017,R7\n", "ship-to"),
        ("assignments", "subject,subject_id,rep,rank\ncustomer,1,R7,first\n", "rank"),
        ("assignments", "subject,subject_id,rep,first,last\ncustomer,1,R7,2026-12-02,2026-12-01\n", "before"),
        ("reps", "code,active\nR7,perhaps\n", "yes or no"),
        ("reps", "code,released\nR7,everything\n", "released"),
        ("reps", f"code\n{'R' * 81}\n", "80 characters"),
        ("agencies", "code,own\n,yes\n", "code is missing"),
    ],
)
def test_every_wrong_cell_has_its_sentence(typed: Typed, tmp_path: Path, table: str, text: str, word: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    said = typed("reps", "import", table, str(file), code=1)
    assert "Line 2: " in said
    assert word in said


def test_wrong_columns_and_tables_are_usage_errors(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("code,nmae\nR7,Anna\n")
    typed("reps", "import", "reps", str(file), code=2)
    assert "a column nmae" in typed.err
    file.write_text("name\nAnna\n")
    typed("reps", "import", "reps", str(file), code=2)
    assert "no column code" in typed.err
    typed("reps", "export", "people", code=2)
    assert "reps, agencies, absences, assignments" in typed.err
    typed("reps", "check", "--source", "sap", code=2)
    assert "erp" in typed.err


def test_resolve_says_who_and_why(typed: Typed, ledger: Ledger) -> None:
    raw = {"id": 1, "code": "10017", "name": "Blue Ltd", "active": True, "agents": [], "addresses": []}
    raw |= {"contact_mechanisms": [], "identifiers": []}
    change = Change(Key("erp", "customer", "10017"), None, json.dumps(raw).encode(), "d", number="10017")
    ledger.inbox.accept([change], lambda _key: (), fetchable=False)
    said = typed("reps", "resolve", "10017", "--on", "2026-12-01", code=1)
    assert "10017" in said
    assert "Nobody serves this customer" in said

    ledger.reps.put_rep("erp", "R7", {"name": "Anna", "email": "a@firm.example"})
    ledger.reps.put_rep("erp", "R9", {"name": "Boris"})
    ledger.reps.add_assignments("erp", [AssignmentRow("customer", "10017", "R7")])
    ledger.reps.add_absences("erp", [AbsenceRow("R7", date(2026, 12, 1), date(2026, 12, 3), "R9")])
    told = json.loads(typed("reps", "resolve", "10017", "--on", "2026-12-01", "--json"))
    assert [(one["code"], one["stands_in"]) for one in told["reps"]] == [("R9", True)]
    assert told["until"] == "2026-12-04"
    assert told["card"]["reps"][0]["name"] == "Boris"
    said = typed("reps", "resolve", "10017", "--on", "2026-12-01")
    assert "This may be another answer from 2026-12-04 on." in said
    typed("reps", "resolve", "4711", code=2)
    assert "no customer 4711" in typed.err


def test_a_flow_of_reps_goes_live_and_back(typed: Typed, ledger: Ledger) -> None:
    modes = {one["flow"]: one["mode"] for one in json.loads(typed("flow", "list", "--json"))}
    assert modes == {"orders": "rehearse", "reps": "rehearse"}
    assert "reps is live." in typed("flow", "live", "reps", "--yes")
    assert ledger.flows.get("reps").live
    assert "live already" in typed("flow", "live", "reps", "--yes")
    typed("flow", "live", "reps", "--any-age", "--yes", code=2)
    assert "carries no orders" in typed.err
    assert "jobs list --flow reps" in typed("flow", "rehearse", "reps")
    assert "reps is live again" in typed("flow", "resume", "reps")
