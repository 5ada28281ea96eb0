"""How the ledger's database is connected to."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from ledger.database import Database


@pytest.mark.parametrize(("query", "seconds"), [("", 5), ("?connect_timeout=20", 20), ("?application_name=x", 5)])
def test_how_long_a_connection_is_waited_for(monkeypatch: pytest.MonkeyPatch, query: str, seconds: int) -> None:
    asked: list[dict[str, Any]] = []

    def connect(*_: object, **given: Any) -> None:
        asked.append(given)
        raise psycopg.OperationalError("nobody there")

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(psycopg.Connection, "connect", connect)
    db = Database(f"postgresql+psycopg://orderwire@127.0.0.1:1/orders{query}")
    with pytest.raises(sa.exc.OperationalError):
        db.rows(sa.select(1))
    db.close()
    assert {int(given["connect_timeout"]) for given in asked} == {seconds}
    assert {given["options"] for given in asked} == {"-c synchronous_commit=on -c lock_timeout=15s"}
