"""Rows of dropped files: encodings, what is cut off, columns that moved, and that one bad row costs no other."""

from __future__ import annotations

import codecs
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.feed import FeedSettings, FileErp
from connectors.feed.lines import HEAD, LONGEST, Written, ends_with_line, lines, written_in
from connectors.feed.rows import records
from connectors.roles import BadRow, DroppedRow, NotWhole, Unusable
from core.errors import Held
from core.keys import Key
from mapping.canonical import ErpCustomer
from tests.drops import COLUMNS, Drops, customer, rep

UMLAUTS = "Müller & Söhne – Straße"
CYRILLIC = "Иванов и сыновья"
ENCODINGS = {
    "windows-1252": (UMLAUTS, b""),
    "utf-8": (CYRILLIC, b""),
    "utf-8-sig": (CYRILLIC, b""),
    "utf-16": (CYRILLIC, b""),
    "utf-16-le": (CYRILLIC, b""),
    "utf-16-be": (CYRILLIC, b""),
    "utf-16-le with a mark": (CYRILLIC, codecs.BOM_UTF16_LE),
    "utf-16-be with a mark": (CYRILLIC, codecs.BOM_UTF16_BE),
}


@pytest.fixture
def drops(tmp_path: Path) -> Drops:
    return Drops(tmp_path / "drop")


def read(erp: FileErp, *, anyway: bool = False) -> tuple[list[DroppedRow], list[BadRow]]:
    """All rows of the newest file."""
    rows: list[DroppedRow] = []
    bad: list[BadRow] = []
    with erp.reading(erp.dropped()[-1], anyway=anyway) as reading:
        for part in reading.parts():
            rows += part.rows
            bad += part.bad
    return rows, bad


def mapped(erp: FileErp) -> list[ErpCustomer]:
    found = []
    file = erp.dropped()[-1]
    with erp.reading(file) as reading:
        for part in reading.parts():
            found += [erp.customer(Key("erp", "customer", row.key), reading.raw(row)) for row in part.rows]
    return found


# -- encodings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ENCODINGS)
def test_whatever_it_is_written_in(drops: Drops, case: str) -> None:
    name, mark = ENCODINGS[case]
    file = drops.drop("KS_CUSTOMERS", [customer(n, name=name) for n in range(3)], encoding=case.split(maxsplit=1)[0])
    if mark:
        drops.put(file, mark + (drops.folder / file).read_bytes())
    customers = mapped(drops.erp())
    assert [one.name for one in customers] == [name] * 3
    assert [one.number for one in customers] == ["C0", "C1", "C2"]


def test_the_same_text_is_the_same_row_in_every_encoding(drops: Drops) -> None:
    seen = set()
    for encoding in ("windows-1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-be"):
        drops.drop("KS_CUSTOMERS", [customer(1, name="Müller")], encoding=encoding)
        seen.add(read(drops.erp())[0][0].digest)
    assert len(seen) == 1


def test_an_encoding_that_is_said_is_believed(drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1, name="Ñandú")], encoding="cp850")
    assert mapped(drops.erp(encoding="cp850"))[0].name == "Ñandú"
    assert mapped(drops.erp())[0].name != "Ñandú"


@pytest.mark.parametrize("encoding", ["auto", "utf-8", "windows-1252"])
def test_bytes_that_are_no_text_cost_their_row_alone(drops: Drops, encoding: str) -> None:
    file = drops.drop("KS_CUSTOMERS", [customer(n) for n in range(3)])
    drops.put(file, (drops.folder / file).read_bytes().replace(b"Customer 1", b"Cust\x81\x8d\xff"))
    rows, bad = read(drops.erp(encoding=encoding))
    assert [row.key for row in rows] == ["C0", "C2"]
    assert [(one.line, one.key) for one in bad] == [(2, "C1")]
    assert "bytes that are no text" in bad[0].reason


def test_half_a_character_of_utf_16_costs_its_row_alone(drops: Drops) -> None:
    file = drops.drop("KS_CUSTOMERS", [customer(n) for n in range(3)], encoding="utf-16-le")
    drops.put(file, (drops.folder / file).read_bytes().replace("Customer 1".encode("utf-16-le"), b"\x00\xdcC\x00"))
    rows, bad = read(drops.erp())
    assert [row.key for row in rows] == ["C0", "C2"]
    assert [(one.line, one.key) for one in bad] == [(2, "C1")]


@given(st.binary(max_size=2000), st.sampled_from(["auto", "utf-8", "utf-16", "windows-1252"]))
def test_no_bytes_are_too_strange(data: bytes, wanted: str) -> None:
    written = written_in(data[:HEAD], wanted)
    for number, text in lines(io.BytesIO(data), written):
        assert number >= 1
        assert text


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x1a\x00"), min_size=1), max_size=20))
def test_lines_come_back_as_they_were(texts: Sequence[str]) -> None:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        data = "".join(f"{text}\r\n" for text in texts).encode(encoding)
        found = [text for _, text in lines(io.BytesIO(data), Written(encoding))]
        assert found == list(texts)
        if texts:
            assert ends_with_line(data[-4:], len(data), Written(encoding))
            assert not ends_with_line(data[:-1][-4:], len(data) - 1, Written(encoding))


def test_a_line_without_end_costs_no_memory_and_no_other_row(drops: Drops) -> None:
    rows: list[dict[str, str] | str] = [customer(1), "x" * (3 * LONGEST), customer(2)]
    for encoding in ("utf-8", "utf-16"):
        drops.drop("KS_CUSTOMERS", rows, encoding=encoding)
        good, bad = read(drops.erp())
        assert [row.key for row in good] == ["C1", "C2"]
        assert [(one.line, one.reason) for one in bad] == [(2, "It is longer than any row is.")]


# -- rows --------------------------------------------------------------------------------------------------------------


def test_a_tab_inside_a_value_is_a_bad_row(drops: Drops) -> None:
    broken = "C2\t\tC\tName\twith a tab" + "\t" * 19
    drops.drop("KS_CUSTOMERS", [customer(1), broken, customer(3)])
    rows, bad = read(drops.erp())
    assert [row.key for row in rows] == ["C1", "C3"]
    assert [(one.line, one.key) for one in bad] == [(2, "C2")]
    assert "It has 24 columns instead of 23: a value seems to contain what parts columns." in bad[0].reason


def test_a_line_ending_inside_a_value_is_two_bad_rows(drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1), "C2\t\tC\tName", "goes on" + "\t" * 19, customer(3)])
    rows, bad = read(drops.erp())
    assert [row.key for row in rows] == ["C1", "C3"]
    assert [one.line for one in bad] == [2, 3]
    assert "cut off, or broken by a line ending" in bad[0].reason


@pytest.mark.parametrize("key", ["", "  ", "x" * 201, "a\x00b", "a\x07"])
def test_a_row_that_names_no_record(drops: Drops, key: str) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1), key + "\t" * 22])
    rows, bad = read(drops.erp())
    assert [row.key for row in rows] == ["C1"]
    assert [(one.line, one.key) for one in bad] == [(2, "")]


def test_a_file_with_too_few_columns_has_no_good_row(drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", ["C1\t\tC\tName", "C2\t\tC\tName"])
    rows, bad = read(drops.erp())
    assert rows == []
    assert {one.reason for one in bad} == {"The file has 4 columns, 23 are needed."}


def test_a_width_that_is_said_counts(drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", ["C1" + "\t" * 24, "C2" + "\t" * 24, "C3" + "\t" * 25])
    rows, bad = read(drops.erp(width={"KS_CUSTOMERS": 26}))
    assert ([row.key for row in rows], [one.key for one in bad]) == (["C3"], ["C1", "C2"])


def test_empty_lines_and_the_end_of_dos_are_nothing(drops: Drops) -> None:
    file = drops.drop("KS_CUSTOMERS", [customer(1), "", customer(2)])
    drops.put(file, (drops.folder / file).read_bytes() + b"\x1a")
    rows, bad = read(drops.erp())
    assert ([row.line for row in rows], bad) == ([1, 3], [])


def test_contacts_of_customers_are_no_reps(drops: Drops) -> None:
    drops.drop("KS_CONTACTS", [rep("R1"), rep("X9", company="C1"), rep("R2", company="9100")])
    erp = drops.erp(agencies=("9100",))
    with erp.reading(erp.dropped()[-1]) as reading:
        (part,) = reading.parts()
        people = [erp.rep(Key("erp", "rep", row.key), reading.raw(row)) for row in part.rows]
    assert part.left_out == 1
    assert [(one.code, one.agency, one.name) for one in people] == [("R1", "", "Rep R1"), ("R2", "9100", "Rep R2")]


def test_reps_in_their_order(drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1, reps=" R7; R9 ;R7;;"), customer(2, reps=""), "1\t\tE\tOwn Ltd" + "\t" * 19])
    first, second, own = mapped(drops.erp(separator=";"))
    assert [(one.rep, one.rank, one.subject_id) for one in first.assignments] == [("R7", 0, "C1"), ("R9", 1, "C1")]
    assert second.assignments == ()
    assert (first.business, own.business) == ("customer", "own")


# -- whole or not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_a_file_that_is_cut_off_is_not_whole(drops: Drops, encoding: str, cut: int) -> None:
    file = drops.drop("KS_CUSTOMERS", [customer(1), customer(2)], encoding=encoding, end="\n")
    drops.put(file, (drops.folder / file).read_bytes()[:-cut])
    with pytest.raises(NotWhole, match="no line ending"):
        read(drops.erp())
    rows, bad = read(drops.erp(), anyway=True)
    assert rows[0].key == "C1"
    assert len(rows) + len(bad) == 2
    assert read(drops.erp(ending=False))[0][0].key == "C1"


def test_a_last_line_that_counts(drops: Drops) -> None:
    trailer = r"EOF\t(?P<rows>[0-9]+)"
    drops.drop("KS_CUSTOMERS", [customer(1), customer(2), "EOF\t2"])
    rows, bad = read(drops.erp(trailer=trailer))
    assert ([row.key for row in rows], bad) == (["C1", "C2"], [])
    drops.drop("KS_CUSTOMERS", [customer(1), "EOF\t2"])
    with pytest.raises(NotWhole, match="speaks of 2 rows, it has 1"):
        read(drops.erp(trailer=trailer))
    drops.drop("KS_CUSTOMERS", [customer(1), customer(2)])
    with pytest.raises(NotWhole, match="not the one that tells it is complete"):
        read(drops.erp(trailer=trailer))


def test_a_file_that_grows_while_it_is_read(drops: Drops) -> None:
    file = drops.drop("KS_CUSTOMERS", [customer(n) for n in range(6000)])
    erp = drops.erp()
    with erp.reading(erp.dropped()[-1]) as reading:
        parts = reading.parts()
        next(parts)
        drops.put(file, (drops.folder / file).read_bytes() + b"C9\r\n")
        with pytest.raises(NotWhole, match="while it was read"):
            list(parts)


def test_a_file_that_is_written_waits(drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1)], age=0)
    drops.drop("KS_CUSTOMERS", [customer(1)], age=60)
    files = drops.erp(settle=30).dropped()
    assert ["may still be written" in one.waits for one in files] == [True, False]


def test_other_names_are_not_files(drops: Drops) -> None:
    for name in (
        "DT_0000001_KS_CUSTOMERS.NET.part", "DT_1_KS_CUSTOMERS.NET", ".DT_0000001_KS_CUSTOMERS.NET", "DT_0000001_KS_CUSTOMERS.net",
        "notes.txt", "DT_0000001_KS_CUSTOMERS.NET~",
    ):  # fmt: skip
        drops.put(name, b"x\n")
    (drops.folder / "DT_0000009_KS_CUSTOMERS.NET").mkdir()
    (drops.folder / "DT_0000008_KS_CUSTOMERS.NET").symlink_to(drops.folder / "notes.txt")
    drops.drop("KS_CUSTOMERS", [customer(1)], number=2)
    assert [one.name for one in drops.erp().dropped()] == ["DT_0000002_KS_CUSTOMERS.NET"]


def test_files_of_one_number_come_in_the_order_of_precedence(drops: Drops) -> None:
    for api in ("KS_INVOICES", "KS_CONTACTS", "KS_CUSTOMERS", "KS_REGIONS"):
        drops.drop(api, [], number=5)
    drops.drop("KS_INVOICES", [], number=4)
    drops.drop("KS_ORDERS", [], number=3)
    assert [(one.sequence, one.series, one.kind) for one in drops.erp().dropped()] == [
        (3, "KS_ORDERS", None),
        (4, "KS_INVOICES", "invoice"),
        (5, "KS_REGIONS", "region"),
        (5, "KS_CUSTOMERS", "customer"),
        (5, "KS_CONTACTS", "rep"),
        (5, "KS_INVOICES", "invoice"),
    ]


# -- CSV ---------------------------------------------------------------------------------------------------------------

SHEET = {
    "name": "customers-{sequence}.csv",
    "kind": "customer",
    "columns": {"number": "Customer No", "name": "Name", "reps": "Reps"},
}


def sheet_erp(drops: Drops, **more: object) -> FileErp:
    return drops.erp(columns={}, files=[{**SHEET, **more}], separator="/")


def test_csv_by_its_headings(drops: Drops) -> None:
    text = 'Name,Reps,Customer No,Else\n"Miller, ""Best"" Ltd",R1/R2,17,x\n"Two\nlines",R3,18,y\nPlain,,19,z\n'
    drops.put("customers-7.csv", text.encode())
    (file,) = sheet_erp(drops).dropped()
    assert (file.sequence, file.mode, file.kind) == (7, "FULL", "customer")
    found = mapped(sheet_erp(drops))
    assert [(one.number, one.name) for one in found] == [
        ("17", 'Miller, "Best" Ltd'),
        ("18", "Two\nlines"),
        ("19", "Plain"),
    ]
    assert [one.rep for one in found[0].assignments] == ["R1", "R2"]


def test_csv_without_headings(drops: Drops) -> None:
    drops.put("customers-1.csv", b"17;Miller\n18;Smith\n")
    erp = sheet_erp(drops, columns={"number": 1, "name": 2}, heading=False, delimiter=";")
    assert [(one.number, one.name) for one in mapped(erp)] == [("17", "Miller"), ("18", "Smith")]


def test_a_quote_that_is_never_closed_costs_its_own_line(drops: Drops) -> None:
    text = 'Customer No,Name,Reps\n1,"open,R1\n' + "".join(f"{n},Name,R1\n" for n in range(2, 300))
    drops.put("customers-1.csv", text.encode())
    rows, bad = read(sheet_erp(drops))
    assert [row.key for row in rows] == [str(n) for n in range(2, 300)]
    assert [one.line for one in bad] == [2]


def test_a_heading_that_is_missing_is_named(drops: Drops) -> None:
    drops.put("customers-1.csv", b"Number,Name,Reps\n1,a,R1\n")
    with pytest.raises(Unusable, match=r"no column 'Customer No' \(for number\); it has Number, Name, Reps"):
        read(sheet_erp(drops))


def test_other_headings_are_other_rows(drops: Drops) -> None:
    drops.put("customers-1.csv", b"Customer No,Name,Reps\n1,a,R1\n")
    first = read(sheet_erp(drops))[0][0].digest
    drops.put("customers-2.csv", b"Customer No,Reps,Name\n1,a,R1\n")
    assert read(sheet_erp(drops))[0][0].digest != first


def test_mode_in_the_name(drops: Drops) -> None:
    for name in ("c_full_1.csv", "c_NET_2.csv"):
        drops.put(name, b"Customer No,Name,Reps\n")
    erp = sheet_erp(drops, name="c_{mode}_{sequence}.csv")
    assert [one.mode for one in erp.dropped()] == ["FULL", "NET"]


def test_a_stored_row_of_columns_that_are_not_configured_is_held(drops: Drops) -> None:
    with pytest.raises(Held, match="What to do: "):
        sheet_erp(drops).customer(Key("erp", "customer", "1"), b'{"columns": {"Kundennummer": "1"}}')
    with pytest.raises(Held, match="not read here any more"):
        sheet_erp(drops).customer(Key("erp", "customer", "1"), b'{"cells": ["1"]}')


@given(st.lists(st.text(st.sampled_from('a",\n'), max_size=12), max_size=12))
def test_every_line_of_csv_is_in_a_record(texts: list[str]) -> None:
    given_lines = [(n, text.replace("\n", "")) for n, text in enumerate(texts, 1)]
    found = list(records(iter(given_lines)))
    assert "\n".join(text for _, text in found) == "\n".join(text for _, text in given_lines)


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"columns": {"KS_ORDERS": {"number": 1}}}, "there are no columns of KS_ORDERS"),
        ({"columns": {"KS_CUSTOMERS": {"rep": 27}}}, "KS_CUSTOMERS has no field rep"),
        ({"columns": {"KS_CUSTOMERS": {"reps": 0}}}, "greater than or equal to 1"),
        ({"host": "sftp.example"}, "never accepted unseen"),
        ({"host": "sftp.example", "host_key": "ssh-ed25519 AAAA"}, "asks for username"),
        ({"host_key": "AAAA"}, "as in known_hosts"),
        ({"username": "x"}, "are for a host"),
        ({"dates": "yesterday"}, "no form of a date"),
        ({"encoding": "klingon"}, "no such encoding"),
        ({"trailer": "("}, "no regular expression"),
        ({"trailer": "(?P<count>x)"}, "only group"),
        ({"files": [{**SHEET, "name": "{date}.csv"}]}, "only parts in braces"),
        ({"files": [{**SHEET, "columns": {"name": "Name"}}]}, "must name number"),
        ({"files": [{**SHEET, "columns": {"number": 1}}]}, "told by its heading"),
        ({"files": [{**SHEET, "columns": {"number": "No", "rep": "R"}}]}, "customer has no field rep"),
    ],
)
def test_settings_that_cannot_work_are_refused(more: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FeedSettings.model_validate({"name": "erp", "folder": "drop", **more})


def test_what_is_not_known_is_not_read(drops: Drops) -> None:
    assert drops.erp(columns={}, own=()).kinds == {"customer", "region"}
    assert drops.erp(columns={}, own=("1",)).kinds == {"customer", "region", "rep"}
    assert drops.erp(columns={"KS_INVENTORY": COLUMNS["KS_INVENTORY"]}).kinds >= {"stock"}
    warned = {one.subject for one in drops.erp(columns={}, own=()).check() if one.level == "warning"}
    assert warned == {"files", "reps", "agencies"}
