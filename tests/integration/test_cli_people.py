"""`people` and `audit` as people type them, and that what the command line changes is in the audit."""

from __future__ import annotations

import json
import re

import pytest
import sqlalchemy as sa

from core.keys import Change, Key
from ledger import Ledger
from ledger import tables as t
from ledger.inbox import Route
from tests import cli_desk
from tests.cli_desk import Typed

file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed


def token(said: str) -> str:
    [found] = re.findall(r"http://127\.0\.0\.1:8700/welcome/([\w-]+)", said)
    return str(found)


def test_the_first_link_is_printed_as_often_as_asked_until_it_is_used(typed: Typed, ledger: Ledger) -> None:
    assert "nobody yet" in typed("people", "list")
    first, second = token(typed("people", "link")), token(typed("people", "link"))
    assert first != second
    assert ledger.people.use(first, "kept", name="Anna") is not None
    assert ledger.people.use(second, "kept", name="Bert") is None
    typed("people", "link", code=2)
    assert "first user already" in typed.err
    assert "may log in" in typed("people", "list")


def test_add_role_disable_enable_and_a_new_link(typed: Typed, ledger: Ledger) -> None:
    ledger.people.use(ledger.people.first_link(), "kept", name="Anna")
    assert ledger.people.use(token(typed("people", "add", "Bert", "operator", "--email", "b@example.com")), "kept")
    typed("people", "role", "b@example.com", "viewer")
    typed("people", "disable", "BERT")
    assert "disabled since" in typed("people", "list")
    typed("people", "link", "Bert", code=1)
    typed("people", "enable", "Bert")
    assert ledger.people.look(token(typed("people", "link", "Bert"))) is not None
    assert json.loads(typed("people", "list", "--json"))[1] == {
        "name": "Bert",
        "email": "b@example.com",
        "role": "viewer",
        "state": "may log in",
    }
    doings = [(n.actor, n.action) for n in reversed(ledger.audit.list(subject="Bert"))]
    assert doings == [
        ("mira (command line)", "person.added"),
        ("mira (command line)", "link.invite"),
        ("Bert", "link.used"),
        ("mira (command line)", "person.role"),
        ("mira (command line)", "person.disabled"),
        ("mira (command line)", "person.enabled"),
        ("mira (command line)", "link.reset"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["role", "Anna", "viewer"], 1, "only administrator"),
        (["disable", "Anna"], 1, "only administrator"),
        (["role", "Anna", "king"], 2, "no role"),
        (["disable", "Zoe"], 2, "nobody named"),
        (["add", "anna"], 1, "already"),
        (["add", "mira (command line)"], 1, "cannot be a name"),
    ],
)
def test_what_cannot_be_is_said(typed: Typed, ledger: Ledger, arguments: list[str], code: int, says: str) -> None:
    ledger.people.use(ledger.people.first_link(), "kept", name="Anna")
    typed("people", *arguments, code=code)
    assert says in typed.err
    assert "What to do" in typed.err


def test_verify_says_when_the_audit_was_changed(typed: Typed, ledger: Ledger) -> None:
    for n in range(3):
        ledger.audit.note("Anna", "test", str(n), {"why": n})
    assert "why: 2" in typed("audit", "--who", "Anna")
    [kept] = re.findall(r"3:[0-9a-f]{64}", typed("audit", "--verify"))
    ledger.audit.note("Anna", "test", "4")
    typed("audit", "--verify", "--known", kept)
    typed("audit", "--verify", "--known", "3:" + "0" * 64, code=1)
    ledger.db.execute(sa.update(t.audit).where(t.audit.c.id == 2).values(actor="Bert"))
    typed("audit", "--verify", code=1)
    assert "row 2 was changed" in typed.err


def test_what_the_command_line_changes_is_in_the_audit(typed: Typed, ledger: Ledger) -> None:
    change = Change(Key("form", "order", "1"), ledger.clock.now(), b"{}", "1")
    ledger.inbox.accept([change], lambda _key: [Route("orders", "crm", "live")])
    typed("pause", "crm", "--for", "2h")
    typed("resume", "crm")
    typed("jobs", "retry", "1")
    typed("jobs", "skip", "1", "--reason", "a test order")
    typed("flow", "live", "orders", "--any-age", "--yes", "--note", "at last")
    typed("flow", "pause", "orders")
    typed("flow", "resume", "orders")
    typed("flow", "rehearse", "orders")
    notes = [*reversed(ledger.audit.list())]
    assert {note.actor for note in notes} == {"mira (command line)"}
    assert [(note.action, note.subject) for note in notes] == [
        ("connection.pause", "connection/crm"),
        ("connection.resume", "connection/crm"),
        ("job.retry", "job/1"),
        ("job.skip", "job/1"),
        ("flow.set", "flow/orders"),
        ("flow.set", "flow/orders"),
        ("flow.set", "flow/orders"),
        ("flow.set", "flow/orders"),
    ]
    assert notes[0].facts == {"seconds": 7200.0}
    assert notes[3].facts["reason"] == "a test order"
    assert [(note.facts["from"], note.facts["to"]) for note in notes[4:]] == [
        ("rehearse", "live"),
        ("live", "paused"),
        ("paused", "live"),
        ("live", "rehearse"),
    ]
    assert notes[4].facts["note"] == "at last"


def test_what_was_refused_is_not_in_it(typed: Typed, ledger: Ledger) -> None:
    typed("jobs", "retry", "99", code=1)
    typed("pause", "nowhere", code=2)
    typed("flow", "resume", "orders", code=2)
    assert ledger.audit.list() == []
