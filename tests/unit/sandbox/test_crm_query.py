"""The query language: properly escaped values find their record, and no text breaks the server."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.crm import CrmApp, crm_app
from sandbox.crm.errors import WsError
from sandbox.crm.query import run

_TEXT = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF, exclude_characters="&"), min_size=1, max_size=80)
_PIECES = st.sampled_from(
    [
        "SELECT",
        "FROM",
        "Contacts",
        "WHERE",
        "lastname",
        "id",
        "*",
        "count(*)",
        "=",
        "!=",
        "LIKE",
        "IN",
        "(",
        ")",
        ",",
        "'x'",
        "''",
        "'a\\'",
        '"',
        "ORDER",
        "BY",
        "LIMIT",
        "5",
        "1,2",
        ";",
        "AND",
        "OR",
        "DESC",
        "Users",
        "SalesOrder",
        "productid",
        "\\",
    ]
)


def _query(app: CrmApp, text: str) -> list[dict[str, str]]:
    service = app.service
    return run(service.store, service.people, service.people.users["admin"], text)


@settings(max_examples=300, deadline=None)
@given(name=_TEXT)
def test_an_escaped_value_finds_its_record(name: str) -> None:
    app = crm_app(seed=False)
    service = app.service
    for lastname in (name, "somebody else"):
        service.records.create(
            service.people.users["admin"],
            "Contacts",
            {"lastname": "x", "description": lastname, "assigned_user_id": "19x1"},
        )
    escaped = name.replace("\\", "\\\\").replace("'", "''")
    found = _query(app, f"SELECT id,description FROM Contacts WHERE description='{escaped}';")  # noqa: S608 (no SQL)
    assert name in [row["description"] for row in found]


@settings(max_examples=1000, deadline=None)
@given(pieces=st.lists(st.one_of(_PIECES, st.text(max_size=8)), max_size=14))
def test_no_text_breaks_the_server(pieces: list[str]) -> None:
    """Anything but the server's own refusals would escape from here."""
    with contextlib.suppress(WsError):
        assert len(_query(_APP, " ".join(pieces))) <= 100


_APP = crm_app()


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("lastname='o''neill'", ["O'Neill"]),
        ("lastname='MULLER'", ["Müller"]),
        ("lastname LIKE 'm%'", ["Müller", "Miller"]),
        ("lastname LIKE '_iller'", ["Miller"]),
        ("lastname IN ('miller','o''neill')", ["O'Neill", "Miller"]),
        ("lastname!='Miller' AND donotcall=0", ["Müller", "O'Neill"]),
        ("lastname='x' OR lastname='Miller' AND firstname='Ann'", ["Miller"]),
        ("lastname='Miller' OR lastname='x' AND firstname='Ann'", ["Miller"]),
        ("lastname='trailing\\'", []),
    ],
)
def test_conditions(condition: str, names: list[str]) -> None:
    app = crm_app(seed=False)
    admin = app.service.people.users["admin"]
    for lastname in ("Müller", "O'Neill", "Miller"):
        element = {"lastname": lastname, "firstname": "Ann", "assigned_user_id": "19x1"}
        app.service.records.create(admin, "Contacts", element)
    rows = _query(app, f"SELECT lastname FROM Contacts WHERE {condition} ORDER BY id;")  # noqa: S608 (no SQL)
    assert [row["lastname"] for row in rows] == names
