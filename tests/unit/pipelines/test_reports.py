"""Files of runs, made a piece at a time: what comes out is what one big text would have been, and nothing is read ahead."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from core.cells import harmless
from ledger.runjobs import JobEnd
from ledger.runs import Item, RunView
from pipelines import reports
from pipelines.forecast import forecast

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUN = RunView(7, "rehearse", "orders", {"standing": True}, "done", "", {}, "Done.", "Olga", WHEN, WHEN, WHEN)
TEXTS = ("=1+1", "two\nlines", "a line end of Unicode\u2028here\x85", 'with "quotes", commas; ü', "\\n", "")


def items(number: int) -> list[Item]:
    return [
        Item(
            key=f"shop/order/{n:05}",
            verdict=("post", "hold")[n % 2],
            number=f"{n}",
            amount="12.50",
            currency="EUR",
            reason=TEXTS[n % len(TEXTS)],
            facts={"writes": ["create SalesOrder", TEXTS[n % len(TEXTS)]], "calls": 2} if n % 3 else {},
        )
        for n in range(number)
    ]


def whole(number: int) -> reports.Report:
    found = items(number)
    return reports.Report("orders", "shop", "crm", RUN, forecast(found), found)


@pytest.mark.parametrize("piece", [1, 500, reports.PIECE])
@pytest.mark.parametrize("number", [0, 1, 2, 40])
def test_json_is_what_one_text_would_be(number: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PIECE", piece)
    text = reports.as_json(whole(number))
    made = json.loads(text)
    assert text == json.dumps(made, ensure_ascii=False, indent=2) + "\n"
    assert list(made) == ["flow", "source", "target", "run", "forecast", "orders"]
    assert made["forecast"]["orders"]["count"] == number
    assert [one["key"] for one in made["orders"]] == [one.key for one in items(number)]
    assert [one["reason"] for one in made["orders"]] == [one.reason for one in items(number)]
    assert all(one["amount"] == "12.50" for one in made["orders"])


@pytest.mark.parametrize("piece", [1, 500, reports.PIECE])
@pytest.mark.parametrize("number", [0, 1, 40])
def test_a_table_is_what_one_text_would_be(number: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PIECE", piece)
    [head, *rows] = csv.reader(io.StringIO(reports.as_csv(whole(number)), newline=""))
    assert tuple(head) == reports.REHEARSED
    assert [row[0] for row in rows] == [one.key for one in items(number)]
    assert [row[7] for row in rows] == [harmless(one.reason) for one in items(number)]
    job = JobEnd(1, "held", "held", "why")
    [head, *rows] = csv.reader(io.StringIO(reports.records_csv((one, job) for one in items(number)), newline=""))
    assert tuple(head) == reports.RECORDS
    assert [(row[0], row[3], row[5], row[6]) for row in rows] == [
        (one.key, one.amount, "held", "why") for one in items(number)
    ]


def test_no_record_is_read_before_there_is_room_for_it() -> None:
    read = 0

    def reading() -> Iterator[Item]:
        nonlocal read
        for one in items(5000):
            read += 1
            yield one

    for pieces in (reports.rehearsed_csv(reading()), reports.all_csv((one, None) for one in reading())):
        read = 0
        first = next(pieces)
        assert reports.PIECE <= len(first) < 2 * reports.PIECE
        assert read < 2000
        assert max(map(len, pieces)) < 2 * reports.PIECE
        assert read == 5000
