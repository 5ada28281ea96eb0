"""`orderwire reps reassign` and `reps preview` as people use them, over the stand-in ERP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from console.opening import load, open_context
from ledger import Ledger
from pipelines import erppolling, reps
from pipelines.runner import Runner
from sandbox.erp import DEFAULT_PASSWORD, ErpApp, erp_app
from sandbox.serve import running
from tests import cli_desk
from tests.cli_desk import Typed

file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed
MORE = """
[[connection]]
name = "erp"
connector = "tryton"
url = "{erp}"
database = "tryton"
username = "orderwire"
password = "env:OW_ERP_PASSWORD"
[[reps]]
name = "reps"
source = "erp"
[[portal]]
name = "shop"
source = "erp"
secrets = ["env:OW_ERP_PASSWORD"]
team = {{ name = "Customer service", phone = "+49 30 1" }}
"""


@pytest.fixture(autouse=True)
def erp(file: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ErpApp]:
    monkeypatch.setenv("OW_CARE_SECRET", "secret")
    password = f"{DEFAULT_PASSWORD}-{DEFAULT_PASSWORD}-long-enough"
    monkeypatch.setenv("OW_ERP_PASSWORD", password)
    app = erp_app(password=password)
    with running(app) as address:
        with Path(file).open("a", encoding="utf-8") as text:
            text.write(MORE.format(erp=address))
        turn(file)
        yield app


def turn(file: str) -> None:
    """Poll, and carry until nothing is left to do."""
    with open_context(load(Path(file))) as context:
        context.ledger.flows.set("reps", "live")
        runner = Runner(context)
        for _ in range(9):
            fresh = erppolling.poll(context, "erp")
            while (claim := context.ledger.jobs.claim("test", alone=False)) is not None:
                runner.run(claim)
                fresh += 1
            if not fresh + reps.look_again(context, "erp"):
                return


def shown(ledger: Ledger, number: str) -> list[str]:
    card = ledger.reps.card("erp", number)
    assert card is not None
    return [rep["name"] for rep in json.loads(card.card)["reps"]]


def test_a_look_then_done_then_taken_back(typed: Typed, ledger: Ledger, file: str) -> None:
    looked = typed("reps", "reassign", "--from", "R7", "--to", "R9", "--dry-run")
    assert "1 customer: from R7 to R9 on " in looked
    assert "Hafenkontor GmbH" in looked
    assert ledger.reps.assignments("erp") == []

    typed("reps", "reassign", "--from", "R7", "--to", "R9", code=2)
    assert "add --yes" in typed.err

    done = json.loads(typed("reps", "reassign", "--from", "R7", "--to", "R9", "--yes", "--json"))
    turn(file)
    assert shown(ledger, "10017") == ["Amélie Durand"]
    assert "R9 took over from R7" in typed("reps", "resolve", "10017")

    said = typed("reps", "reassign", "--undo", str(done["run"]), "--yes")
    assert f"Run {done['run']} is taken back." in said
    turn(file)
    assert shown(ledger, "10017") == ["Jonas Weber"]
    actions = [(one.actor, one.action) for one in ledger.audit.list(limit=20)]
    assert {("mira (command line)", "run.reassign"), ("mira (command line)", "run.restore")} <= set(actions)


def test_what_was_given_on_is_taken_back_from_its_end(typed: Typed, ledger: Ledger, file: str) -> None:
    first = json.loads(typed("reps", "reassign", "--from", "R7", "--to", "R9", "--yes", "--json"))["run"]
    turn(file)
    second = json.loads(typed("reps", "reassign", "--from", "R9", "--to", "R7", "--yes", "--json"))["run"]
    turn(file)
    typed("reps", "reassign", "--undo", str(first), "--yes", code=1)
    assert f"Run {second} gave on what run {first} had given. What to do: take back run {second} first." in typed.err
    for run, name in ((second, "Amélie Durand"), (first, "Jonas Weber")):
        typed("reps", "reassign", "--undo", str(run), "--yes")
        turn(file)
        assert shown(ledger, "10017") == [name]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "is not clear"),
        (("--from", "R7", "--to", "R9", "--undo", "1"), "is not clear"),
        (("--from", "R7", "--to", "R7"), "Both are the same rep"),
        (("--from", "R7", "--to", "R99"), "the code of nobody"),
        (("--undo", "77"), "There is no run 77"),
    ],
)
def test_what_makes_no_sense_is_refused(typed: Typed, ledger: Ledger, arguments: tuple[str, ...], why: str) -> None:
    assert cli.main(["reps", "reassign", *arguments, "--yes", "--config", typed.file]) != 0
    assert why in typed.capsys.readouterr().err
    assert ledger.reps.assignments("erp") == []


def test_the_preview_says_what_a_customer_sees_and_what_is_missing(typed: Typed, erp: ErpApp, file: str) -> None:
    seen = typed("reps", "preview", "10017")
    assert "Jonas Weber" in seen
    assert "has no picture" in seen
    nobody = typed("reps", "preview", "10044", code=1)
    assert "Customer service" in nobody
    assert "Nobody serves this customer." in nobody
    erp.staff.add("10044", "R3")
    turn(file)
    told = json.loads(typed("reps", "preview", "10044", "--json"))
    assert [rep["name"] for rep in told["card"]["reps"]] == ["Mara Lindqvist"]
    assert [one["what"] for one in told["missing"]] == ["R3 Mara Lindqvist has no picture."]
