"""Which of two states of a record is the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.clock import to_micros
from core.keys import Change, Key, content_hash
from ledger.inbox import Record, Verdict, judge

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
KEY = Key("shop", "order", "1")
A, B = sorted((b"a", b"b"), key=content_hash)  # the content hash of B is the greater one


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def change(
    stamp: float | None = 0, raw: bytes | None = A, fetched: float | None = None, *, deleted: bool = False
) -> Change:
    return Change(
        KEY,
        None if stamp is None else at(stamp),
        raw,
        "delivery",
        fetched_at=None if fetched is None else at(fetched),
        deleted=deleted,
    )


def record(stamp: float | None = 0, raw: bytes | None = A, fetched: float | None = None, **more: Any) -> Record:
    return Record(
        key=KEY,
        raw=raw,
        stamp=None if stamp is None else to_micros(at(stamp)),
        content="" if raw is None and not more.get("deleted") else content_hash(raw or b""),
        fetched_at=None if fetched is None else to_micros(at(fetched)),
        dirty_at=None,
        deleted=more.get("deleted", False),
        number="1",
        version=1,
    )


GONE = change(None, None, 10, deleted=True)
N, SAME, STALE, DIRTY = Verdict.NEWEST, Verdict.SAME, Verdict.STALE, Verdict.DIRTY

# what is known, what comes, the verdict where the source can be asked, and where it cannot
TABLE = {
    "the first": (None, change(), N, N),
    "after a hint": (record(None, None), change(), N, N),
    "later stamp": (record(0), change(1, B), N, N),
    "later stamp, same content": (record(0), change(1, A), N, N),
    "earlier stamp": (record(1), change(0, B), STALE, STALE),
    "earlier stamp, same content": (record(1), change(0, A), STALE, STALE),
    "equal, same content": (record(0), change(0, A), SAME, SAME),
    "equal, greater content": (record(0, A), change(0, B), DIRTY, N),
    "equal, smaller content": (record(0, B), change(0, A), DIRTY, STALE),
    "equal, fetched, first answer": (record(0, B), change(0, A, fetched=5), N, N),
    "equal, fetched later": (record(0, B, fetched=4), change(0, A, fetched=5), N, N),
    "equal, fetched earlier": (record(0, B, fetched=6), change(0, A, fetched=5), STALE, STALE),
    "equal, pushed against fetched": (record(0, A, fetched=6), change(0, B), DIRTY, N),
    "fetched, same content": (record(0, A), change(0, A, fetched=5), SAME, SAME),
    "fetched, earlier stamp": (record(1, A), change(0, B, fetched=5), STALE, STALE),
    "hint, nothing known": (None, change(None, None), DIRTY, DIRTY),
    "hint": (record(0), change(1, None), DIRTY, DIRTY),
    "an old hint": (record(1), change(0, None), DIRTY, DIRTY),
    "deletion, nothing known": (None, change(1, None, deleted=True), DIRTY, N),
    "deletion": (record(0), change(1, None, deleted=True), DIRTY, N),
    "deletion without a stamp": (record(0), change(None, None, deleted=True), DIRTY, N),
    "an old deletion": (record(2), change(1, None, deleted=True), DIRTY, STALE),
    "deletion of the same stamp": (record(1, B), change(1, None, deleted=True), DIRTY, N),
    "state of the deletion's stamp": (record(1, None, deleted=True), change(1, B), DIRTY, STALE),
    "state before the deletion": (record(1, None, deleted=True), change(0, B), DIRTY, STALE),
    "state after the deletion": (record(1, None, deleted=True), change(2, B), DIRTY, N),
    "asked: gone": (record(0), GONE, N, N),
    "asked: gone, nothing known": (None, GONE, N, N),
    "asked: gone, but asked again later": (record(0, A, fetched=11), GONE, STALE, STALE),
    "asked: still gone": (record(0, None, fetched=9, deleted=True), GONE, SAME, SAME),
    "asked: there again": (record(5, None, fetched=9, deleted=True), change(5, A, fetched=10), N, N),
    "asked: there, before it went": (record(5, None, fetched=9, deleted=True), change(5, A, fetched=8), STALE, STALE),
    "no stamps, same content": (record(None, A), change(None, A), SAME, SAME),
    "no stamps, other content": (record(None, A), change(None, B), DIRTY, N),
    "no stamps, smaller content": (record(None, B), change(None, A), DIRTY, N),
    "stamp lost": (record(0, A), change(None, B), DIRTY, N),
    "stamp gained": (record(None, A), change(0, B), DIRTY, N),
    "no stamps, fetched": (record(None, A, fetched=1), change(None, B, fetched=2), N, N),
    "no stamps, fetched earlier": (record(None, A, fetched=2), change(None, B, fetched=1), STALE, STALE),
}


@pytest.mark.parametrize("fetchable", [True, False], ids=["fetchable", "push only"])
@pytest.mark.parametrize("case", TABLE)
def test_verdict(case: str, fetchable: bool) -> None:
    old, new, asking, pushing = TABLE[case]
    assert judge(old, new, content_hash(new.raw or b""), fetchable=fetchable) is (asking if fetchable else pushing)


def test_what_must_be_fetched() -> None:
    assert not record().must_fetch
    assert record(None, None).must_fetch, "only a hint is known"
    assert not record(0, None, deleted=True).must_fetch, "it is known to be gone"


def test_seconds_around_the_change_of_the_clocks_are_told_apart() -> None:
    """Europe set its clocks back at 2026-10-25 01:00 UTC: the same wall time twice, two different moments."""
    before = datetime(2026, 10, 25, 2, 30, tzinfo=UTC) - timedelta(hours=2)
    old = Record(KEY, A, to_micros(before), content_hash(A), None, None, deleted=False, number="", version=1)
    summer = datetime.fromisoformat("2026-10-25T02:30:00+02:00")
    winter = datetime.fromisoformat("2026-10-25T02:30:00+01:00")
    for moment, verdict in ((summer, Verdict.SAME), (winter, Verdict.NEWEST)):
        again = Change(KEY, moment, A, "x")
        assert judge(old, again, content_hash(A), fetchable=False) is verdict
