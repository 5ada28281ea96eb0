"""Thresholds as a sheet: what goes out comes back the same, in parts; what is wrong is told by its line and changes nothing."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import ConfigurationProblem
from core.settings import BuyerSettings, StockSettings
from ledger import Ledger
from ledger.thresholds import Scope, Threshold
from pipelines import sheets
from pipelines.context import Context
from pipelines.stockdesk import MOST_LINES, Imported, StockDesk
from tests.integration.ledger import kit

HEAD = "scope,subject,warehouse,owner,minimum,target,remove"


@pytest.fixture
def desk(sqlite_template: Path, tmp_path: Path) -> Iterator[StockDesk]:
    with_ledger = Ledger.open(kit.sqlite_copy(sqlite_template, tmp_path))
    context = Context(with_ledger, {}, {}, {}, {})
    context.stocks = {"goods": StockSettings(name="goods", source="erp")}
    context.buyers = {"anna": BuyerSettings(name="anna")}
    yield StockDesk(context)
    with_ledger.close()


def take_in(desk: StockDesk, *lines: str, dry_run: bool = False) -> Imported:
    raw = "\r\n".join([HEAD, *lines]).encode("utf-8", "surrogatepass")
    return desk.take_in("goods", sheets.parse(raw, "t.csv", most=MOST_LINES), by="anna", dry_run=dry_run)


def there(desk: StockDesk) -> list[tuple[str, str, str]]:
    found = desk.context.ledger.stock.thresholds.all("erp")
    return [(one.scope, one.subject, one.warehouse) for one in found]


WRONG: tuple[tuple[str, str], ...] = (
    ("product,A,,,NaN,,", "no quantity"),
    ("product,A,,,Infinity,,", "no quantity"),
    ("product,A,,,-Inf,,", "no quantity"),
    ("product,A,,,1_000,,", "no quantity"),
    ("product,A,,,1e13,,", "no quantity"),
    ("product,A,,,-1e13,,", "no quantity"),
    ("product,A,,,٣,,", "no quantity"),
    ("product,A,,,1 000,,", "no quantity"),
    ('product,A,,,"1,000.5",,', "no quantity"),
    ("product,A,,,5,4,", "below the minimum"),
    ("product,A,,,5,x,", "no quantity"),
    ("product,A,,eve,5,,", "no buyer named"),
    ("product,,,,5,,", "Nothing says what"),
    ("warehouse,A,main,,5,,", "warehouse alone"),
    ("warehouse,,,,5,,", "warehouse alone"),
    ("product,A,,,,,", "says nothing"),
    ("shelf,A,,,5,,", "a product, a group, a warehouse"),
    ("shelf,A,,,5,,yes", "a product, a group, a warehouse"),
    (f"product,{'x' * 201},,,5,,", "too long"),
    (f"product,A,{'x' * 81},,5,,", "too long"),
    ("product,A\0B,,,5,,", "nobody can read"),
    ("product,A,ma\0in,,5,,", "nobody can read"),
    ('product,"A\nB",,,5,,', "nobody can read"),
)


@pytest.mark.parametrize(("line", "why"), WRONG)
def test_a_wrong_line_is_told_and_the_others_count(desk: StockDesk, line: str, why: str) -> None:
    done = take_in(desk, "product,GOOD,,,5,,", line)
    [(number, said)] = done.bad
    assert (number, why in said, done.taken) == (3, True, 1), said
    assert there(desk) == [("product", "GOOD", "")]


def test_a_dry_run_and_what_is_so_already_change_nothing(desk: StockDesk) -> None:
    assert take_in(desk, "product,A,,anna,5,9,", dry_run=True).taken == 1
    assert there(desk) == []
    assert take_in(desk, "product,A,,anna,5,9,").taken == 1
    again = take_in(desk, 'product,A,,anna,"5,0",9.00,', "product,B,,,,,yes", "product,A,,,1,,")
    assert (again.taken, again.same, [number for number, _ in again.bad]) == (0, 2, [4])
    assert take_in(desk, "product,A,,,,,x").taken == 1
    assert there(desk) == []


HOSTILE = ("=1+1", "+1", "-1", "@SUM(A1)", "'=1", "＝1", '"=1', "a,=1", "a;=1", "'", "A B", "ä\u202eB")


def test_names_that_would_be_formulas_leave_as_text_and_come_back_as_they_are(desk: StockDesk) -> None:
    ours = [Threshold("product", name, name, "anna", Decimal("-2.5"), Decimal(3)) for name in HOSTILE]
    service = desk.context.ledger.stock.thresholds
    service.put("erp", ours, by="anna")
    text = "".join(desk.export("goods"))
    cells = [cell for line in text.splitlines() for cell in line.split(",")]
    assert not [cell for cell in cells if cell.lstrip(' "').startswith(("=", "+", "@", "＝"))]
    assert not [cell for cell in cells if cell.startswith("-")], "not a number either: it is a formula to a spreadsheet"
    lines = sheets.parse(text.encode(), "t.csv")
    assert len(lines) == len(HOSTILE)
    done = desk.take_in("goods", lines, by="anna", dry_run=True)
    readable = [name for name in HOSTILE if "\u202e" not in name]
    assert done.same >= len(readable), done


SCOPED: tuple[tuple[Scope, str, str], ...] = (
    ("warehouse", "", "main"), ("warehouse", "", "north"), ("product", "A", ""), ("product", "A", "main"),
    ("product", "B", ""), ("product", "B", "main"), ("product", "C", ""), ("group", "A", ""), ("group", "lamps", "main"),
)  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9, 100])
def test_all_are_read_in_parts_of_any_size(desk: StockDesk, size: int) -> None:
    service = desk.context.ledger.stock.thresholds
    service.put("erp", [Threshold(*one, minimum=Decimal(1)) for one in reversed(SCOPED)], by="anna")
    service.put("other", [Threshold("product", "Z", minimum=Decimal(1))], by="anna")
    found = [(one.scope, one.subject, one.warehouse) for one in service.each("erp", size)]
    assert found == list(SCOPED)
    wanted = {SCOPED[0], SCOPED[3], SCOPED[7]}
    assert set(service.of("erp", {*wanted, ("product", "Z", ""), ("group", "B", "")})) == wanted


def test_many_are_neither_read_nor_held_at_once(desk: StockDesk) -> None:
    """What is held while twenty thousand go out is a small part of what all of them would take."""
    service = desk.context.ledger.stock.thresholds
    many = [Threshold("product", f"ARTICLE-{number:06d}", minimum=Decimal(1)) for number in range(20_000)]
    service.put("erp", many, by="anna")
    next(iter(desk.export("goods")))
    tracemalloc.start()
    try:
        length = sum(map(len, desk.export("goods")))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length > 20_000 * 20
    assert most < 6_000_000


def test_a_sheet_that_is_too_long_is_refused_before_it_is_read(
    desk: StockDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    whole = sheets.Line

    def counted(number: int, cells: dict[str, str]) -> sheets.Line:
        built.append(number)
        return whole(number, cells)

    monkeypatch.setattr("pipelines.sheets.Line", counted)
    raw = "\n".join([HEAD, *(f"product,A{number},,,5,," for number in range(2_000))]).encode()
    with pytest.raises(ConfigurationProblem, match=r"t\.csv has more than 1,000 lines\. What to do: split it"):
        sheets.parse(raw, "t.csv", most=1_000)
    assert len(built) == 1_001
    assert len(sheets.parse(raw, "t.csv", most=2_000)) == 2_000
