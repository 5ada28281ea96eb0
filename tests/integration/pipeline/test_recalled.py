"""What pages remember of orders that nobody has carried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

import pipelines.recalled
from core.keys import Key
from ledger import Ledger
from pipelines.recalled import Recalled
from tests.integration.ledger.kit import accept, change


class Shop:
    """Reads the record's bytes as the order."""

    def order(self, _key: Key, raw: bytes) -> str:
        return raw.decode()


class Context:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.stores: dict[str, Any] = {"shop": Shop()}


@pytest.fixture
def books(database_url: str) -> Iterator[Ledger]:
    with closing(Ledger.open(database_url)) as opened:
        yield opened


def told(recalled: Recalled[str], jobs: Sequence[int]) -> list[str]:
    found = recalled.of(jobs)
    return [found.get(job, "?") for job in jobs]


def test_what_is_known_is_read_again_after_a_while(books: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    recalled: Recalled[str] = Recalled(Context(books), str, "", at_once=10)  # type: ignore[arg-type]
    accept(books, change("1", stamp=1, raw=b'{"total": 50}'))
    assert told(recalled, [1]) == ['{"total": 50}']
    accept(books, change("1", stamp=2, raw=b'{"total": 80}'))
    assert told(recalled, [1]) == ['{"total": 50}'], "a page asks every few seconds"
    monkeypatch.setattr(pipelines.recalled, "FOR", -1.0)
    assert told(recalled, [1]) == ['{"total": 80}']


def test_what_is_not_known_at_all_comes_first(books: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    recalled: Recalled[str] = Recalled(Context(books), str, "", at_once=1)  # type: ignore[arg-type]
    monkeypatch.setattr(pipelines.recalled, "FOR", -1.0)
    for number in (1, 2):
        accept(books, change(str(number), stamp=1, raw=b'{"total": 5}'))
    assert told(recalled, [1, 2]) == ['{"total": 5}', "?"]
    assert told(recalled, [1, 2]) == ['{"total": 5}', '{"total": 5}']
