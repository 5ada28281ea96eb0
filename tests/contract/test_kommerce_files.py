"""KS_ files written by hand after the published specification (nothing was recorded of a real KommerceServer): each value stands
where the specification counts it, and is read as what it is."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from connectors import feed
from connectors.feed import FeedSettings, FileErp
from core.keys import Key
from mapping.canonical import Address, ErpCustomer, SalesRep
from mapping.kommerce import FileName
from mapping.kommerce.columns import MAX_SEQUENCE, line

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kommerce"


@pytest.fixture
def erp(tmp_path: Path) -> FileErp:
    for file in FIXTURES.glob("DT_*"):
        copied = shutil.copy(file, tmp_path)
        os.utime(copied, (time.time() - 60,) * 2)
    settings = {
        "name": "erp",
        "folder": str(tmp_path),
        "columns": {"KS_CUSTOMERS": {"reps": 27}},
        "separator": "|",
        "own": ["1"],
        "agencies": ["9100"],
    }
    return feed.build(FeedSettings.model_validate(settings))


def raws(erp: FileErp, name: str) -> tuple[dict[str, bytes], int]:
    """Id -> what is stored of it; and how many rows are nothing to us."""
    file = next(one for one in erp.dropped() if one.name == name)
    with erp.reading(file) as reading:
        (part,) = reading.parts()
        assert part.bad == []
        return {row.key: reading.raw(row) for row in part.rows}, part.left_out


def test_customers(erp: FileErp) -> None:
    found, _ = raws(erp, "DT_0000002_KS_CUSTOMERS.NET")
    customers = {id: erp.customer(Key("erp", "customer", id), raw) for id, raw in found.items()}
    assert customers["C-10017"] == ErpCustomer.model_validate(
        {
            "key": Key("erp", "customer", "C-10017"),
            "name": "Müller & Söhne GmbH",
            "phone": "+49 69 5550100",
            "billing": Address(
                line1="Hauptstr. 5", line2="Hinterhaus, 2. Stock", city="Frankfurt", state="HE", postal_code="60311",
                country="DE", phone="+49 69 5550100",
            ),
            "assignments": [
                {"subject": "customer", "subject_id": "C-10017", "rep": "R7", "rank": 0},
                {"subject": "customer", "subject_id": "C-10017", "rep": "R9", "rank": 1},
            ],
        }
    )  # fmt: skip
    assert {id: one.business for id, one in customers.items()} == {
        "C-10017": "customer", "C-10018": "customer", "1": "own", "9100": "agency",
    }  # fmt: skip


def test_contacts_of_those_who_sell_are_reps(erp: FileErp) -> None:
    found, left_out = raws(erp, "DT_0000003_KS_CONTACTS.NET")
    reps = {id: erp.rep(Key("erp", "rep", id), raw) for id, raw in found.items()}
    assert left_out == 1
    assert reps["R7"] == SalesRep(
        key=Key("erp", "rep", "R7"), name="Vera Vogel", title="Inside sales", email="vera@own.example", phone="+49 30 7",
        mobile="+49 171 7",
    )  # fmt: skip
    assert (reps["R9"].name, reps["R9"].agency) == ("Nils Nord", "9100")


def test_regions(erp: FileErp) -> None:
    found, _ = raws(erp, "DT_0000001_KS_REGIONS.FULL")
    germany = erp.region(Key("erp", "region", "DE"), found["DE"])
    assert (germany.name, germany.parent) == ("Germany", "WORLD")
    assert [(one.subject, one.subject_id, one.rep) for one in germany.assignments] == [
        ("region", "DE", "R7"),
        ("region", "DE", "R9"),
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("DT_0000001_KS_CUSTOMERS.NET", FileName("DT", 1, "KS_CUSTOMERS", "NET")),
        ("ERP-2_9999999_KS_SHIP_ADDRS.FULL", FileName("ERP-2", MAX_SEQUENCE, "KS_SHIP_ADDRS", "FULL")),
        ("DT_001_KS_CUSTOMERS.NET", None),
        ("DT_00000001_KS_CUSTOMERS.NET", None),
        ("DT_0000001_KS_CUSTOMERS.NET.tmp", None),
        ("DT_0000001_CUSTOMERS.NET", None),
        ("_0000001_KS_CUSTOMERS.NET", None),
        ("DT_٠٠٠٠٠٠١_KS_CUSTOMERS.NET", None),
    ],
)
def test_names_of_files(text: str, wanted: FileName | None) -> None:
    found = FileName.parse(text)
    assert found == wanted
    assert found is None or str(found) == text


def test_a_written_row_is_one_row() -> None:
    assert line(["a\tb", "c\r\nd", "e\u2028f", " g ", "h\x00"]) == "a b\tc d\te f\tg\th"
