"""Listing accounts and contacts: nobody is lost, whatever moves meanwhile."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import RetryLater
from tests.contract.vtiger_fakes import FakeVtiger, Refuse, connector

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = ("cf_external_id", "email", "phone")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTIGER_TEST_KEY", "access-key")


def at(second: int) -> str:
    return f"{START + timedelta(seconds=second):%Y-%m-%d %H:%M:%S}"


class Tables:
    """Accounts and contacts that answer the connector's queries as vtiger does: at most 100 rows."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, str]] = {"Accounts": {}, "Contacts": {}}
        self.queries: list[str] = []
        self.meanwhile: Any = lambda: None
        self.shuffled = False
        self.columns: tuple[str, ...] = COLUMNS
        self.codes: dict[int, str] = {}

    def query(self, params: dict[str, Any]) -> list[dict[str, str]]:
        text = params["query"]
        self.queries.append(text)
        found = re.fullmatch(r"SELECT (.*) FROM (\w+)(?: WHERE (.*?))? ORDER BY (.*?) LIMIT 0,(\d+);", text)
        assert found, text
        module, where, order = found[2], found[3] or "", found[4]
        assert order in {"modifiedtime, id", "id"}
        rows = [(time, id) for id, time in self.rows[module].items() if self._holds(where, time, id)]
        rows.sort(key=lambda row: row if order == "modifiedtime, id" else (row[1],))
        if self.shuffled:
            rows.reverse()
        prefix, name = ("11", "accountname") if module == "Accounts" else ("12", "lastname")
        answer = [
            {"id": f"{prefix}x{id}", name: f"N{id}", "modifiedtime": time, "bill_code": self.codes.get(id, "")}
            for time, id in rows[: min(int(found[5]), 100)]
        ]
        self.meanwhile()
        return answer

    @staticmethod
    def _holds(where: str, time: str, id: int) -> bool:
        for clause in filter(None, where.split(" AND ")):
            field, operator, value = re.fullmatch(r"(\w+) (>=|>|=) '(.*)'", clause).groups()  # type: ignore[union-attr]
            left: Any = time if field == "modifiedtime" else id
            right: Any = value if field == "modifiedtime" else int(value.partition("x")[2])
            if not {"=": left == right, ">": left > right, ">=": left >= right}[operator]:
                return False
        return True

    def fake(self) -> FakeVtiger:
        fields = [{"name": name, "label": name, "type": {"name": "string"}} for name in self.columns]
        describe = {"name": "x", "idPrefix": "1", "createable": True, "updateable": True, "fields": fields}
        return FakeVtiger(query=self.query, describe=lambda p: describe)


def seen(tables: Tables, cursor: str | None = None) -> tuple[list[str], str | None]:
    ids = []
    for page in connector(tables.fake(), overlap=60).parties_since(cursor):
        ids += [party.id for party in page.parties]
        cursor = page.cursor
    return ids, cursor


def test_everybody_is_listed_and_then_only_the_changed() -> None:
    tables = Tables()
    tables.rows["Accounts"] = {id: at(id) for id in range(1, 251)}
    tables.rows["Contacts"] = {id: at(id) for id in range(300, 330)}
    ids, cursor = seen(tables)
    assert set(ids) == {f"11x{n}" for n in range(1, 251)} | {f"12x{n}" for n in range(300, 330)}
    assert len(tables.queries) == 4  # 100 + 100 + 52, and the contacts
    tables.rows["Accounts"][7] = at(1000)
    ids, again = seen(tables, cursor)
    assert "11x7" in ids
    assert len(ids) < 100 + 30  # overlap, not everything
    assert again != cursor


@pytest.mark.parametrize("count", [99, 100, 101, 200, 350])
def test_more_records_in_one_second_than_a_page_holds(count: int) -> None:
    tables = Tables()
    tables.rows["Accounts"] = dict.fromkeys(range(1, count + 1), at(5)) | {9001: at(4), 9002: at(6)}
    ids, _ = seen(tables)
    assert set(ids) == {f"11x{n}" for n in tables.rows["Accounts"]}


def test_records_that_move_while_paging_are_not_lost_and_push_nobody_out() -> None:
    """With offsets, each record that moves to the end would make the next page skip one."""
    rng = random.Random(7)
    for _ in range(20):
        tables = Tables()
        times = [rng.randrange(12) for _ in range(420)]
        tables.rows["Accounts"] = {id: at(time) for id, time in enumerate(times, 1)}
        clock = iter(range(100, 10_000))

        def move(tables: Tables = tables, clock: Any = clock) -> None:
            if len(tables.queries) < 15:
                for id in rng.sample(range(1, 421), 9):
                    tables.rows["Accounts"][id] = at(next(clock))

        tables.meanwhile = move
        ids, cursor = seen(tables)
        tables.meanwhile = lambda: None
        later, _ = seen(tables, cursor)
        assert set(ids) | set(later) >= {f"11x{n}" for n in range(1, 421)}
        assert set(ids) >= {f"11x{n}" for n in range(1, 421)}


def test_a_listing_can_be_resumed_at_any_page() -> None:
    tables = Tables()
    tables.rows["Accounts"] = {id: at(id // 40) for id in range(1, 401)}
    tables.rows["Contacts"] = {id: at(id) for id in range(500, 530)}
    everybody = {f"11x{n}" for n in range(1, 401)} | {f"12x{n}" for n in range(500, 530)}
    pages = list(connector(tables.fake()).parties_since(None))
    assert len(pages) > 4
    for number, page in enumerate(pages):
        before = {party.id for p in pages[: number + 1] for party in p.parties}
        rest, _ = seen(tables, page.cursor)
        assert before | set(rest) == everybody


@pytest.mark.parametrize("cursor", ["", "nonsense", "[]", '{"Accounts":"yesterday"}', '{"Accounts":null}'])
def test_an_unreadable_cursor_reads_everything(cursor: str) -> None:
    tables = Tables()
    tables.rows["Contacts"] = {1: at(1)}
    assert seen(tables, cursor)[0] == ["12x1"]


@pytest.mark.parametrize("shown", [True, False])
def test_the_postal_code_is_asked_for_only_where_it_is_shown(shown: bool) -> None:
    """vtiger denies the whole query for one column that the API user may not see."""
    tables = Tables()
    tables.rows["Accounts"] = {7: at(1)}
    tables.codes = {7: " 10 115 "} if shown else {}
    tables.columns = (*COLUMNS, "bill_code") if shown else COLUMNS
    parties = [party for page in connector(tables.fake()).parties_since(None) for party in page.parties]
    assert [(party.id, party.postal_code) for party in parties] == [("11x7", "10 115" if shown else "")]
    accounts = [text for text in tables.queries if "FROM Accounts" in text]
    assert accounts
    assert all(("bill_code" in text) == shown for text in accounts)


def test_an_empty_crm() -> None:
    assert seen(Tables()) == ([], None)


def test_a_listing_without_order_is_refused_not_followed_for_ever() -> None:
    tables = Tables()
    tables.rows["Accounts"] = {id: at(id) for id in range(1, 251)}
    tables.shuffled = True
    with pytest.raises(RetryLater, match="no order"):
        seen(tables)


def test_one_party() -> None:
    tables = Tables()
    fake = tables.fake()
    record = {"id": "12x5", "lastname": "Müller", "modifiedtime": at(3)}

    def retrieve(params: dict[str, Any]) -> Any:
        if params["id"] != "12x5":
            raise Refuse("ACCESS_DENIED", "Permission to perform the operation is denied")
        return record

    fake.answers["retrieve"] = retrieve
    crm = connector(fake)
    party = crm.get_party("contact", "12x5")
    assert party is not None
    assert (party.name, party.stamp) == ("Müller", START + timedelta(seconds=3))
    assert crm.get_party("contact", "12x6") is None
