"""What is written for KommerceServer is what is read from it: the two sides share one specification and no code path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors import feed, kommerce
from connectors.http import guarded
from connectors.roles import PortalFile, Publication, RepContact
from core.keys import Key
from mapping.canonical import Address, ErpCustomer, SalesRep
from mapping.cards import Card, CardRep
from pipelines.telling import Outside

CUSTOMER = ErpCustomer(
    key=Key("erp", "customer", "10017"),
    name="Blüe\tLtd",
    phone="+49 30 1",
    billing=Address(line1="Main Road 1", line2="Hall 2", city="Essen", state="NW", postal_code="45127", country="DE"),
)
MIA = SalesRep(
    key=Key("erp", "rep", "R7"), name="Mia Muster", title="Sales", email="mia@firm.example", phone="+49 30 7"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252", "utf-16"])
@pytest.mark.parametrize("line_end", ["crlf", "lf"])
def test_what_we_write_our_own_reader_reads(tmp_path: Path, encoding: str, line_end: str) -> None:
    facts: dict[str, Any] = {"encoding": encoding, "line_end": line_end, "own_business": "900", "contact_prefix": ""}
    portal = kommerce.build(
        kommerce.KommerceSettings(name="ks", folder=str(tmp_path), rep_column=25, rep_separator="|", **facts)
    )
    card = Card(customer="10017", reps=(CardRep(name="Mia", code="R7"), CardRep(name="Leo", code="R9")))
    files = [PortalFile(1, "customers", "full", "a"), PortalFile(2, "contacts", "full", "b")]
    with guarded(Outside()):
        portal.stage_customers(files[0], [Publication("erp", CUSTOMER, card)])
        portal.stage_contacts(files[1], [RepContact(MIA)])
        for file in files:
            portal.release(file)
    erp = feed.build(
        feed.FeedSettings(
            name="erp",
            folder=str(tmp_path),
            settle=0,
            separator="|",
            own=("900",),
            columns={"KS_CUSTOMERS": {"reps": 25}},
        )
    )
    customers = [change for page in erp.changes_since("customer", None) for change in page.changes]
    assert [change.key.id for change in customers] == ["10017"]
    read = erp.customer(customers[0].key, customers[0].raw or b"")
    assert (read.name, read.phone) == ("Blüe Ltd", "+49 30 1")
    assert read.billing.model_dump(exclude={"phone", "company"}) == CUSTOMER.billing.model_dump(
        exclude={"phone", "company"}
    )
    assert [one.rep for one in sorted(read.assignments, key=lambda one: one.rank)] == ["R7", "R9"]
    reps = [change for page in erp.changes_since("rep", None) for change in page.changes]
    (mia,) = [erp.rep(change.key, change.raw or b"") for change in reps]
    assert (mia.name, mia.email, mia.phone, mia.title) == ("Mia Muster", "mia@firm.example", "+49 30 7", "Sales")
