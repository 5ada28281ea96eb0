"""An order in vtiger against what we wrote and what the store says now: who changed what, and what is written of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.http import guarded
from connectors.roles import USUAL, Amending, Comparison, Ownership, Ref
from connectors.vtiger import VtigerCrm, sides
from connectors.vtiger.echo import Echo, written
from core import jsontext
from core.errors import Held
from mapping.canonical import Address, OrderStatus, SalesOrder
from tests.contract.test_vtiger_corpus import CASES, Case
from tests.contract.test_vtiger_role import REFS, Install, line, order
from tests.contract.vtiger_fakes import Json, OpenGuard, Refuse, connector

FIXTURES = Path(__file__).parent.parent / "fixtures" / "vtiger"
HAMBURG = Address(line1="Hafen 1", city="Hamburg", postal_code="20095", country="DE")
ID = "6x100"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VTIGER_TEST_KEY", "access-key")
    with guarded(OpenGuard()):
        yield


# -- on the real wire ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_vtiger_kept_is_our_own_echo(case: Case) -> None:
    """All 80 recorded orders: what `retrieve` gives later is, field by field, what was noted when `create` answered."""
    created, retrieved = case.answers
    kept = jsontext.loads(jsontext.dumps(written(case.element, created, (), case.order)))
    echo = Echo.of(kept)
    theirs = sides.there(retrieved, echo.asked.keys(), case.order)
    assert {"LineItems", "hdnGrandTotal", "txtAdjustment"} <= theirs.keys()
    assert [name for name in theirs if not sides.same(name, echo.base(name), theirs[name])] == []


def recorded(name: str) -> Json:
    (path,) = FIXTURES.glob(f"{name}-*.json")
    found: Json = jsontext.loads(path.read_bytes())["response"]["json"]["result"]
    return found


def test_what_people_changed_is_seen_on_the_real_wire() -> None:
    """The recorded order before and after somebody revised its lines, its status and nothing else."""
    before, after = recorded("131"), recorded("138")
    names = [name for name in before if isinstance(before[name], str) and not name.startswith("hdn")]
    names += ["LineItems", "hdnGrandTotal", "hdnTaxType"]
    first, second = (sides.there(record, names, order()) for record in (before, after))
    changed = {name for name in first if not sides.same(name, first[name], second[name])}
    assert changed == {"LineItems", "hdnGrandTotal", "pre_tax_total", "modifiedtime"}
    rows = sides.disagreements(["LineItems"], first, first, second, str, {"14x4": "Desk", "14x5": "Lamp"})
    assert [(row.field, row.wrote, row.theirs, row.stores) for row in rows] == [
        ("Desk, quantity", "2", "2", "1"),
        ("Lamp, quantity", "1", "1", "2"),
    ]


# -- who changed what ------------------------------------------------------------------------------------------------------


class Kept(Install):
    """An install that tells its orders with their totals and who changed them last."""

    def __init__(self) -> None:
        super().__init__()
        self.by = "19x1"
        self.fake.answers["retrieve"] = self.told
        self.crm = connector(self.fake)

    def told(self, params: Json) -> Json:
        record = deepcopy(self.retrieve(params))
        if "LineItems" in record:
            self._totals(record)
            record["modifiedby"] = self.by
        return record

    def people(self, **fields: Any) -> None:
        self.by = "19x7"
        self.kept[ID] |= fields

    def sold(self, quantity: str) -> None:
        lines = deepcopy(self.kept[ID]["LineItems"])
        lines[0]["quantity"] = quantity
        self.people(LineItems=lines)

    def compare(self, wanted: SalesOrder, shown: Any, refs: Any = REFS, ownership: Ownership = USUAL) -> Comparison:
        return self.crm.compare(Ref(ID, "SO1"), wanted, refs, ownership, shown)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def first(kept: Kept) -> Any:
    """What is kept of the order as it was created, once through JSON."""
    return json.loads(json.dumps(kept.crm.create_order(order(), REFS).shown))


MORE = order(line("A", "300", "57.00"), line("B", "50", "9.50"))
Change = Callable[[Kept], None]
# what people did; what the store says now; there, store, sent, conflicts
WHO: dict[str, tuple[Change, SalesOrder, set[str], set[str], set[str], set[str]]] = {
    "nobody": (lambda k: None, order(), set(), set(), set(), set()),
    "the store its lines": (lambda k: None, MORE, set(), {"lines"}, {"lines"}, set()),
    "the store an address": (lambda k: None, order(billing=HAMBURG), set(), {"billing"}, {"billing"}, set()),
    "people the lines": (lambda k: k.sold("3"), order(), {"lines"}, set(), set(), set()),
    "both the lines": (lambda k: k.sold("4"), MORE, {"lines"}, {"lines"}, set(), {"lines"}),
    "people the lines, the store an address": (
        lambda k: k.sold("3"), order(billing=HAMBURG), {"lines"}, {"billing"}, {"billing"}, set(),
    ),
    "both an address to the same": (
        lambda k: k.people(bill_street="Hafen 1", bill_city="Hamburg", bill_code="20095"),
        order(billing=HAMBURG), {"billing"}, {"billing"}, set(), set(),
    ),
    "both an address": (
        lambda k: k.people(bill_city="Bremen"), order(billing=HAMBURG), {"billing"}, {"billing"}, set(), {"billing"},
    ),
    "people the status": (lambda k: k.people(sostatus="Delivered"), order(), {"status"}, set(), set(), set()),
    "people a shipping charge": (
        lambda k: k.people(**{"shipping_&_handling": "5"}), MORE, {"lines"}, {"lines"}, set(), {"lines"},
    ),
    "people took the external id away": (lambda k: k.people(cf_external_id=""), order(), {""}, set(), {""}, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", WHO)
def test_who_changed_what(kept: Kept, name: str) -> None:
    shown = first(kept)
    people, wanted, there, store, send, conflicts = WHO[name]
    people(kept)
    found = kept.compare(wanted, shown)
    assert (set(found.there), set(found.store), set(found.send)) == (there, store, send)
    assert {one.part for one in found.conflicts} == conflicts
    assert found.word == kept.kept[ID]["sostatus"]


@pytest.mark.parametrize(
    ("ownership", "send", "conflicts"),
    [
        (USUAL, set(), {"lines"}),
        (Ownership(ask=frozenset()), {"lines"}, set()),
        (Ownership(keep=frozenset({"lines", "owner"})), set(), set()),
        (Ownership(fill=frozenset({"lines"})), set(), set()),
    ],
)
def test_the_ownership_words(kept: Kept, ownership: Ownership, send: set[str], conflicts: set[str]) -> None:
    shown = first(kept)
    kept.sold("4")
    found = kept.compare(MORE, shown, ownership=ownership)
    assert (set(found.send), {one.part for one in found.conflicts}) == (send, conflicts)


def test_the_same_two_sides_ask_the_same_question(kept: Kept) -> None:
    """Digests do not depend on how numbers are written, on the rest of the order, or on what is kept."""
    shown = first(kept)
    kept.sold("4")
    (one,) = kept.compare(MORE, shown).conflicts
    kept.kept[ID]["LineItems"][0]["listprice"] += "00"
    kept.people(description="a long talk", txtAdjustment="0.0", bill_city="Bremen")
    (same,) = kept.compare(MORE.model_copy(update={"billing": HAMBURG}), None).conflicts[-1:]
    assert (same.part, same.theirs, same.stores) == ("lines", one.theirs, one.stores)
    kept.sold("5")
    (other,) = kept.compare(MORE, shown).conflicts
    assert (other.theirs == one.theirs, other.stores == one.stores) == (False, True)


def test_an_order_that_is_gone_is_held(kept: Kept) -> None:
    def gone(_params: Json) -> None:
        raise Refuse("ACCESS_DENIED", "Permission to perform the operation is denied")

    kept.fake.answers["retrieve"] = gone
    with pytest.raises(Held) as caught:
        kept.compare(order(), None)
    assert caught.value.error_class == "missing reference"


# -- what is written -----------------------------------------------------------------------------------------------------


def amended(kept: Kept, wanted: SalesOrder, shown: Any, parts: set[str] | None = None, refs: Any = REFS) -> Any:
    """Compare and write; what is kept afterwards, once through JSON."""
    found = kept.compare(wanted, shown, refs)
    done = kept.crm.amend(Ref(ID, "SO1"), wanted, refs, USUAL, found, found.send if parts is None else parts)
    assert [one for one in done.differences if one.action == "hold"] == []
    kept.by = "19x1" if kept.fake.operations()[-1] == "revise" else kept.by
    return json.loads(json.dumps(done.shown))


def sent(kept: Kept) -> set[str]:
    return set(kept.fake.of("revise")[-1]["element"])


def test_a_header_goes_alone_and_lines_with_all_that_a_revise_resets(kept: Kept) -> None:
    shown = amended(kept, order(billing=HAMBURG), first(kept))
    assert sent(kept) == {"id", *(f"bill_{part}" for part in ("street", "city", "state", "code", "country"))}
    amended(kept, MORE.model_copy(update={"billing": HAMBURG}), shown)
    assert {"id", "LineItems", "hdnTaxType", "txtAdjustment", "currency_id", "conversion_rate"} == sent(kept)


def test_nothing_to_write_is_no_call(kept: Kept) -> None:
    shown = first(kept)
    kept.sold("3")
    before = len(kept.fake.asked)
    amended(kept, order(), shown)
    assert kept.fake.operations()[before:] == ["retrieve"]


def test_theirs_stays_theirs_whatever_else_is_written(kept: Kept) -> None:
    """Kept by decision, then our own header-only update: the next lines of the store ask again."""
    shown = first(kept)
    kept.sold("4")
    shown = amended(kept, MORE, shown, set())
    assert kept.compare(MORE, shown).conflicts == ()
    shown = amended(kept, MORE.model_copy(update={"billing": HAMBURG}), shown)
    assert kept.by == "19x1", "we were the last to touch it"
    assert kept.kept[ID]["LineItems"][0]["quantity"] == "4"
    most = order(line("A", "800", "152.00"), line("B", "50", "9.50"), billing=HAMBURG)
    (one,) = kept.compare(most, shown).conflicts
    (row, *_) = one.rows
    assert (row.field, row.theirs) == ("A, quantity", "4")
    assert [row.wrote for row in one.rows if row.field == "Grand total"] == ["178.5"]


def test_a_text_that_vtiger_cuts_is_not_a_change_of_people(kept: Kept) -> None:
    """It is not written again and again either."""
    long = Address(line1="L" * 300, city="Berlin", postal_code="10115", country="DE")
    kept.spoil.append(lambda answer: answer.update(bill_street="L" * 250))
    shown = json.loads(json.dumps(kept.crm.create_order(order(billing=long), REFS).shown))
    kept.kept[ID]["bill_street"] = "L" * 250
    found = kept.compare(order(billing=long, note="ring twice"), shown)
    assert (set(found.there), set(found.send)) == (set(), {"notes"})
    found = kept.compare(order(billing=HAMBURG), shown)
    assert (set(found.send), found.conflicts) == ({"billing"}, ())


def test_what_vtiger_did_not_take_is_sent_again(kept: Kept) -> None:
    """Lines that stayed broken are not what the store wants, though they are what we wrote."""

    def broken(answer: Json) -> None:
        del answer["LineItems"][0]
        answer["hdnGrandTotal"] = 59.5

    kept.spoil += [broken, broken]
    done = kept.crm.create_order(order(), REFS)
    assert [one.action for one in done.differences] == ["hold", "hold"]
    del kept.kept[ID]["LineItems"][0]
    found = kept.compare(order(), json.loads(json.dumps(done.shown)))
    assert (set(found.there), set(found.send), found.conflicts) == (set(), {"lines"}, ())


# -- a write whose fate is not known -----------------------------------------------------------------------------------


def under_way(kept: Kept) -> Any:
    """What is kept while the lines of MORE are being written."""
    found = kept.compare(MORE, first(kept))
    return json.loads(json.dumps(kept.crm.sending(found, found.send)))


def landed(kept: Kept, *, whole: bool) -> None:
    refs_element = kept.crm.order_payload(MORE, REFS)
    lines = deepcopy(refs_element["LineItems"])
    kept.kept[ID] |= {"LineItems": lines if whole else lines[:1], "txtAdjustment": refs_element["txtAdjustment"]}


MOST = order(line("A", "800", "152.00"), line("B", "50", "9.50"))


@pytest.mark.parametrize(
    ("what", "by", "send", "conflicts"),
    [
        ("never", "19x1", {"lines"}, set()),
        ("whole", "19x1", {"lines"}, set()),
        ("whole", "19x7", {"lines"}, set()),
        ("half", "19x1", {"lines"}, set()),
        ("half", "19x7", set(), {"lines"}),
        ("theirs", "19x7", set(), {"lines"}),
    ],
)
def test_after_a_crash(kept: Kept, what: str, by: str, send: set[str], conflicts: set[str]) -> None:
    """Whatever came of the write: what we sent is ours, whole or half, and what else stands there is somebody's."""
    shown = under_way(kept)
    if what == "theirs":
        kept.sold("4")
    elif what != "never":
        landed(kept, whole=what == "whole")
    kept.by = by
    found = kept.compare(MOST, shown)
    assert (set(found.send), {one.part for one in found.conflicts}) == (send, conflicts)


# -- orders from before --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "send", "conflicts"), [("19x1", {"lines"}, set()), ("19x7", set(), {"lines"}), ("", set(), {"lines"})]
)
def test_an_order_of_which_nothing_was_kept(kept: Kept, by: str, send: set[str], conflicts: set[str]) -> None:
    """Ours if our user touched it last; else only what differs is asked about, with nothing known of what we wrote."""
    first(kept)
    kept.by = by
    found = kept.compare(MORE, None)
    assert (set(found.send), {one.part for one in found.conflicts}) == (send, conflicts)
    assert {row.wrote for one in found.conflicts for row in one.rows} <= {None}
    assert kept.compare(order(), None).conflicts == ()


def test_the_role_is_played() -> None:
    crm = Kept().crm
    assert isinstance(crm, VtigerCrm)
    assert isinstance(crm, Amending)


def test_the_status_is_the_stores_only_where_it_changed_it(kept: Kept) -> None:
    shown = first(kept)
    kept.people(sostatus="Delivered")
    assert kept.compare(order(billing=HAMBURG), shown).send == {"billing"}
    approved = replace(REFS, status="Approved")
    assert kept.compare(order(status=OrderStatus.CONFIRMED), shown, approved).send == {"status"}
    assert Decimal(kept.told({"id": ID})["hdnGrandTotal"]) == Decimal("178.5")
