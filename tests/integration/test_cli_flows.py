"""`flow list`, `live`, `rehearse`, `pause`, `resume` as people use them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

import cli
from core.keys import Change, Key
from ledger import Ledger
from ledger import tables as t
from ledger.flows import REHEARSED
from ledger.inbox import Route
from ledger.runs import Item
from pipelines import standing
from tests import cli_desk
from tests.cli_desk import Typed

file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed


def rehearsed(ledger: Ledger, *items: Item) -> None:
    """Orders that came in while the flow was in rehearsal, each with its waiting job."""
    changes = [Change(Key.parse(item.key), ledger.clock.now(), b"{}", item.key) for item in items]
    ledger.inbox.accept(changes, lambda _key: [Route("orders", "crm", "live")])
    with ledger.db.write() as connection:
        connection.execute(sa.update(t.job).values(error_class=REHEARSED, due_at=t.job.c.due_at + 10**12))
    ledger.runs.put(standing.run_of(ledger, "orders").id, items)


def item(ledger: Ledger, id: int, verdict: str = "post", *, days: float = 0.0, **over: Any) -> Item:
    placed = ledger.clock.now() - timedelta(days=days)
    facts = {"placed": placed.isoformat(), "calls": 3}
    return Item(f"form/order/{id}", verdict, str(id), "10.00", "EUR", facts=facts, **over)


def test_a_new_flow_is_rehearsed(typed: Typed) -> None:
    assert json.loads(typed("flow", "list", "--json")) == [
        {"flow": "orders", "mode": "rehearse", "start": None, "changed_at": None}
    ]
    table = typed("flow", "list")
    assert "rehearse" in table
    assert "the beginning" in table


def test_live_from_now(typed: Typed, ledger: Ledger) -> None:
    before = ledger.clock.now()
    said = typed("flow", "live", "orders", "--yes", "--note", "the day")
    assert "WARNING: nothing was rehearsed for orders" in said
    assert "`orderwire rehearse orders --last 30d`" in said
    assert "orders is live and creates orders placed from 20" in said
    state = ledger.flows.get("orders")
    assert state.live
    assert state.start is not None
    assert before <= state.start <= ledger.clock.now()
    assert state.changed_by
    assert "the day" in typed("flow", "list")


def test_live_of_any_age(typed: Typed, ledger: Ledger) -> None:
    assert "creates orders of any age" in typed("flow", "live", "orders", "--any-age", "--yes")
    assert ledger.flows.get("orders").start is None
    assert "any time" in typed("flow", "list")


def test_what_was_rehearsed_is_said_before_it_is_asked(typed: Typed, ledger: Ledger) -> None:
    held = item(ledger, 3, "hold", reason="r", error_class="money")
    rehearsed(ledger, item(ledger, 1, days=2), item(ledger, 2, days=-1), held)
    out = typed("flow", "live", "orders", "--yes")
    assert "1 would be created (10.00 EUR); 1 placed before the start" in out
    assert "1 would be held (10.00 EUR)" in out
    assert "To create those placed since the rehearsal began as well: --from 20" in out
    assert "WARNING" not in out
    assert "Looked at now: 3 orders that waited" in out
    assert {job.error_class for job in ledger.jobs.list()} == {""}


def test_with_an_earlier_start_all_of_them_are_created(typed: Typed, ledger: Ledger) -> None:
    rehearsed(ledger, item(ledger, 1, days=2))
    out = typed("flow", "live", "orders", "--from", f"{ledger.clock.now() - timedelta(days=3):%Y-%m-%d}", "--yes")
    assert "1 would be created" in out
    assert "--from" not in out


def test_a_rehearsal_of_a_span_is_told_too(typed: Typed, ledger: Ledger) -> None:
    run = ledger.runs.begin("rehearse", "orders", {"since": "2026-10-01", "until": "2026-11-01"})
    ledger.runs.put(run.id, [item(ledger, 1), item(ledger, 2, "skip", error_class="rule statuses")])
    ledger.runs.end(run.id, "done")
    out = typed("flow", "live", "orders", "--yes")
    assert "placed from 2026-10-01 00:00:00 to 2026-11-01 00:00:00 UTC: 2 orders: 1 would be created" in out
    assert "WARNING" not in out


def test_nobody_is_there_to_answer(typed: Typed, ledger: Ledger) -> None:
    typed("flow", "live", "orders", code=2)
    assert "orders will create orders placed from" in typed.err
    assert "add --yes" in typed.err
    assert not ledger.flows.get("orders").live


def test_live_twice_does_not_move_the_start(typed: Typed, ledger: Ledger) -> None:
    typed("flow", "live", "orders", "--from", "2026-11-01", "--yes")
    assert "live already and creates orders placed from 2026-11-01" in typed("flow", "live", "orders", "--yes")
    start = ledger.flows.get("orders").start
    assert start is not None
    assert start.isoformat() == "2026-11-01T00:00:00+00:00"


def test_a_start_only_moves_on(typed: Typed) -> None:
    typed("flow", "live", "orders", "--from", "2026-11-01", "--yes")
    assert "orders placed between the two" in typed("flow", "live", "orders", "--from", "2026-11-05", "--yes")
    typed("flow", "live", "orders", "--from", "2026-11-04", "--yes", code=2)
    assert "an earlier one would create" in typed.err
    typed("flow", "live", "orders", "--from", "2026-11-04", code=2)
    assert "an earlier one would create" in typed.err, "nobody is asked about what is refused anyway"
    typed("flow", "live", "orders", "--any-age", "--yes", code=2)


def test_pause_and_resume_keep_the_start(typed: Typed, ledger: Ledger) -> None:
    typed("flow", "live", "orders", "--from", "2026-11-01", "--yes")
    assert "orders is paused" in typed("flow", "pause", "orders", "--note", "stocktaking")
    assert "stocktaking" in typed("flow", "list")
    assert "live again and creates orders placed from 2026-11-01" in typed("flow", "resume", "orders")
    assert "`orderwire flow resume orders`" in typed("flow", "rehearse", "orders")
    rehearsed(ledger, item(ledger, 1))
    assert "Looked at now: 1 order that waited." in typed("flow", "resume", "orders")


@pytest.mark.parametrize("way", ["pause", "rehearse"])
def test_a_flow_that_never_was_live_cannot_be_resumed(typed: Typed, ledger: Ledger, way: str) -> None:
    """Else a pause and its end would let it create orders of any age, with nobody asked."""
    typed("flow", way, "orders", code=2 if way == "pause" else 0)
    typed("flow", "resume", "orders", code=2)
    assert "never been live" in typed.err
    assert "What to do" in typed.err
    assert not ledger.flows.get("orders").live


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("live", "order", "--yes"), "There is no flow named 'order'. What to do: use one of orders."),
        (("live", "orders", "--from", "2026-11-01", "--any-age", "--yes"), "contradict each other"),
        (("live", "orders", "--from", "yesterday", "--yes"), "2026-03-01T08:00+01:00"),
        (("pause", "order"), "There is no flow named"),
        (("resume", "order"), "There is no flow named"),
        (("rehearse", "order"), "There is no flow named"),
    ],
)
def test_wrong_words(typed: Typed, arguments: tuple[str, ...], words: str) -> None:
    typed("flow", *arguments, code=2)
    assert words in " ".join(typed.err.replace("│", " ").split())


def test_init_says_how_a_new_flow_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = str(tmp_path / "new.toml")
    form = ["--connector", "orderform", "--name", "form", "--set", "webhook_secrets=[]"]
    crm = ["--connector", "vtiger", "--name", "crm", "--set", "url=http://127.0.0.1:9", "--set", "username=u"]
    assert cli.main(["init", "-c", new, "--no-test", *form]) == 0
    assert "rehearsal" not in capsys.readouterr().out, "there is no flow yet"
    more = ["--set", "access_key=env:K", "--set", 'owners={ sales = "20x2" }']
    assert cli.main(["init", "-c", new, "--no-test", *crm, *more]) == 0
    assert "orders begins in rehearsal" in capsys.readouterr().out


def test_up_says_which_flows_write_nothing(typed: Typed, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    context: Any = SimpleNamespace(flows={"orders": None}, reps={}, ledger=ledger)
    cli._tell_modes(context)
    assert "`orderwire flow live orders`" in capsys.readouterr().out
    typed("flow", "live", "orders", "--yes")
    ledger.flows._known.clear()
    cli._tell_modes(context)
    assert capsys.readouterr().out == ""
    typed("flow", "pause", "orders")
    ledger.flows._known.clear()
    cli._tell_modes(context)
    assert "`orderwire flow resume orders`" in capsys.readouterr().out
