"""What every ERP connector must keep to, whatever the system. A connector's test class inherits `ErpConformance`, and
`ErpOverHttp` as well where it speaks HTTP.

It says how to build the connector over a world of its own, and how to change that world; the tests come for free.
"""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, get_args

import httpx
import pytest

from connectors.http import Call, guarded
from connectors.roles import Erp, ErpKind, Page, Stocked
from core.errors import ConfigurationProblem, Held, LeaseLost, NotThere, OrderwireError, RetryLater
from core.keys import Change, Key
from mapping.canonical.base import Canonical
from tests.contract.junk import changed_at, paths_of

JUNK: Sequence[Any] = (
    None, "", " ", "x", "NaN", "Infinity", "-1", "1e400", "1,50", "١٢", "\x00", "\ud800", "<script>alert(1)</script>",
    "9" * 5000, -1, 0, 10**30, 1e300, 0.1, True, [], {}, [1], [None], [[]], {"a": 1}, "0000-00-00", "9999-12-31T23:59:59+23:59",
)  # fmt: skip


class NoWrites:
    """A guard that lets nothing be written."""

    def before_write(self, connection: str, timeout: float) -> None:
        raise LeaseLost("An ERP connector wrote. What to do: it must not.")

    def called(self, call: Call) -> None:
        assert not call.write, call


class ErpConformance(ABC):
    """Inherit as `class TestMyErp(ErpConformance)`. Each test gets a world of its own from `build`."""

    name: ClassVar[str] = "erp"

    @abstractmethod
    def build(self) -> Erp:
        """The connector over a fresh world, in small pages: at least three records of each kind, and more than a page of one."""

    @abstractmethod
    def touch(self, kind: ErpKind) -> str:
        """Change one record of this kind over there; its id."""

    @abstractmethod
    def add(self, kind: ErpKind) -> str:
        """A new record; its id."""

    @abstractmethod
    def remove(self, kind: ErpKind) -> str:
        """Delete a record over there; its id."""

    # ------------------------------------------------------------------------------------------------ helpers

    @pytest.fixture(autouse=True)
    @classmethod
    def _nothing_is_written(cls) -> Iterator[None]:
        with guarded(NoWrites()):
            yield

    @pytest.fixture
    def erp(self) -> Iterator[Erp]:
        made = self.build()
        yield made
        made.close()

    def told(self, erp: Erp, kind: ErpKind, cursor: str | None = None) -> tuple[dict[Key, Change], str]:
        """Everything that changed, and the last cursor."""
        pages = list(erp.changes_since(kind, cursor))
        assert pages, "a reading ends with a cursor, even where nothing changed"
        return {change.key: change for page in pages for change in page.changes}, pages[-1].cursor

    def mapped(self, erp: Erp, change: Change) -> Canonical:
        mapping: Callable[[Key, bytes], Canonical] = getattr(erp, change.key.kind)
        assert change.raw is not None
        return mapping(change.key, change.raw)

    def kinds(self, erp: Erp) -> list[ErpKind]:
        return sorted(erp.kinds)

    # ------------------------------------------------------------------------------------------------- reading

    def test_plays_the_role(self, erp: Erp) -> None:
        assert isinstance(erp, Erp)
        assert erp.name == self.name
        assert erp.kinds
        assert erp.kinds <= set(get_args(ErpKind))

    def test_stock_is_told_in_bulk_as_it_is_told_one_by_one(self, erp: Erp) -> None:
        assert isinstance(erp, Stocked)
        if "stock" not in erp.kinds:
            with pytest.raises(ConfigurationProblem):
                next(iter(erp.stock_since(None)))
            return
        changes, _ = self.told(erp, "stock")
        pages = list(erp.stock_since(None))
        levels = {level.key: level for page in pages for level in page.levels}
        assert {key: level.on_hand for key, level in levels.items()} == {
            key: self.mapped(erp, change).on_hand  # type: ignore[attr-defined]
            for key, change in changes.items()
        }
        assert len(levels) >= 3
        assert not any(page.bad or page.gone for page in pages)
        changed = self.touch("stock")
        later = list(erp.stock_since(pages[-1].cursor))
        assert changed in {level.key.id for page in later for level in page.levels}
        assert all(level.key.id == f"{level.warehouse}/{level.sku}" for level in levels.values())

    def test_everything_is_told_once_and_maps(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            pages = list(erp.changes_since(kind, None))
            changes = [change for page in pages for change in page.changes]
            keys = [change.key for change in changes]
            assert len(keys) >= 3, kind
            assert len(keys) == len(set(keys)), kind
            for change in changes:
                assert (change.key.connection, change.key.kind) == (self.name, kind)
                assert change.problem is None
                assert change.content
                assert change.stamp is None or change.stamp.utcoffset() is not None
                assert self.mapped(erp, change).key == change.key  # type: ignore[attr-defined]

    def test_ids_are_those_of_what_is_told(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            told, _ = self.told(erp, kind)
            ids = list(itertools.chain.from_iterable(erp.ids(kind)))
            assert len(ids) == len(set(ids))
            assert {key.id for key in told} == set(ids), kind

    def test_a_record_fetched_is_the_record_told(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            for key, change in self.told(erp, kind)[0].items():
                fetched = erp.fetch(key)
                assert (fetched.key, fetched.content) == (key, change.content)
                assert fetched.fetched_at is not None

    @pytest.mark.parametrize("name", ["no-such", "", "0", "x/y/z", "'; DROP TABLE party; --", "\x00", "9" * 400, "ü"])
    def test_what_is_not_there_is_said(self, erp: Erp, name: str) -> None:
        for kind in ("customer", "rep", "region", "product", "stock", "invoice", "order"):
            with pytest.raises(NotThere, match="What to do: "):
                erp.fetch(Key(self.name, kind, name))

    def test_the_same_state_has_the_same_content(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            first, again = (self.told(erp, kind)[0] for _ in range(2))
            said = [{key: (change.content, change.dedupe) for key, change in one.items()} for one in (first, again)]
            assert said[0] == said[1]  # and is no new delivery
            assert all(len(dedupe) < 400 for _, dedupe in said[0].values())

    # ------------------------------------------------------------------------------------------------ cursors

    def test_reading_goes_on_from_every_page(self, erp: Erp) -> None:
        longest = 0
        for kind in self.kinds(erp):
            pages = list(erp.changes_since(kind, None))
            longest = max(longest, len(pages))
            whole = self._keys(pages)
            for place, page in enumerate(pages):
                rest = self._keys(list(erp.changes_since(kind, page.cursor)))
                assert self._keys(pages[: place + 1]) | rest == whole, (kind, place)
        assert longest > 2

    def _keys(self, pages: Sequence[Page]) -> set[Key]:
        return {change.key for page in pages for change in page.changes}

    def test_a_change_is_told_and_its_content_is_another(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            before, cursor = self.told(erp, kind)
            key = Key(self.name, kind, self.touch(kind))
            after, later = self.told(erp, kind, cursor)
            assert key in after, kind
            assert after[key].content != before[key].content
            assert isinstance(later, str)

    def test_what_is_new_is_told(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            _, cursor = self.told(erp, kind)
            key = Key(self.name, kind, self.add(kind))
            assert key in self.told(erp, kind, cursor)[0], kind

    def test_what_is_deleted_is_missing_among_the_ids(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            self.told(erp, kind)
            gone = self.remove(kind)
            assert gone not in set(itertools.chain.from_iterable(erp.ids(kind))), kind
            with pytest.raises(NotThere):
                erp.fetch(Key(self.name, kind, gone))

    def test_nothing_is_skipped_when_others_write_while_pages_are_read(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            touched: list[str] = []
            last: dict[str, str] = {}
            cursor = ""
            for page in erp.changes_since(kind, None):
                last |= {change.key.id: change.content for change in page.changes}
                cursor = page.cursor
                touched += [self.touch(kind), self.add(kind)]
                assert len(touched) < 400, "others write one record a page: the reading must end all the same"
            last |= {key.id: change.content for key, change in self.told(erp, kind, cursor)[0].items()}
            for name in touched:
                assert last.get(name) == erp.fetch(Key(self.name, kind, name)).content, (kind, name)

    @pytest.mark.parametrize(
        "cursor", ["x", "{}", "null", "[1]", '{"v":99}', "2026-11-22", '{"v":1,"since":7}', "\x00"]
    )
    def test_a_cursor_that_is_none_is_said(self, erp: Erp, cursor: str) -> None:
        for kind in self.kinds(erp):
            with pytest.raises(ConfigurationProblem, match="What to do: "):
                list(erp.changes_since(kind, cursor))

    def test_a_kind_that_is_not_told_is_said(self, erp: Erp) -> None:
        for kind in set(get_args(ErpKind)) - erp.kinds:
            with pytest.raises(OrderwireError, match="What to do: "):
                list(erp.changes_since(kind, None))

    # ------------------------------------------------------------------------------------------------ mapping

    def test_whatever_stands_in_a_field_is_mapped_or_held_with_advice(self, erp: Erp) -> None:
        held = 0
        for kind in self.kinds(erp):
            change = max(self.told(erp, kind)[0].values(), key=lambda one: len(one.raw or b""))
            row = json.loads(change.raw or b"")
            for path in paths_of(row):
                for junk in (*JUNK, ...):
                    raw = json.dumps(changed_at(row, path, junk)).encode()
                    message = self._held_message(erp, Change(change.key, None, raw, ""))
                    held += bool(message)
                    assert not message or "What to do: " in message, (kind, path, junk)
                    assert len(message) < 1500
                    message.encode()
        assert held > 100

    def _held_message(self, erp: Erp, change: Change) -> str:
        """Why the record is held; "" when it maps. Any other error fails the test."""
        try:
            self.mapped(erp, change)
        except Held as error:
            return error.message
        return ""

    @pytest.mark.parametrize("raw", [b"", b"null", b"[1]", b"{}", b"\xff", b'{"id": NaN}', b"[" * 100_000])
    def test_what_is_no_record_is_held(self, erp: Erp, raw: bytes) -> None:
        for kind in self.kinds(erp):
            change = next(iter(self.told(erp, kind)[0].values()))
            with pytest.raises(Held, match="What to do: "):
                self.mapped(erp, Change(change.key, None, raw, ""))

    def test_another_records_text_is_not_taken_for_this_one(self, erp: Erp) -> None:
        for kind in self.kinds(erp):
            first, second, *_ = self.told(erp, kind)[0].values()
            with pytest.raises(Held, match="What to do: "):
                self.mapped(erp, Change(first.key, None, second.raw, ""))

    # -------------------------------------------------------------------------------------------------- check

    def test_the_check_finds_nothing_wrong_where_nothing_is(self, erp: Erp) -> None:
        findings = erp.check()
        assert findings
        assert [finding for finding in findings if finding.level == "problem"] == []


class ErpOverHttp(ErpConformance):
    """For connectors that ask a server."""

    @abstractmethod
    def through(self, transport: httpx.MockTransport) -> Erp:
        """A connector whose calls go there."""

    def test_an_outage_is_waited_out(self) -> None:
        def down(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

        self._all_wait(down, cause="timeout/transient")

    @pytest.mark.parametrize("status", [500, 502, 503])
    def test_a_server_that_fails_is_waited_out(self, status: int) -> None:
        self._all_wait(lambda request: httpx.Response(status, text="<h1>Oops</h1>"))

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_login_pauses_the_connection(self, status: int) -> None:
        self._all_wait(lambda request: httpx.Response(status), cause="auth")

    @pytest.mark.parametrize(
        "body", [b"", b"<html>maintenance</html>", b"null", b"[]", b"7", b"\xff\xfe", b"[" * 100_000]
    )
    def test_an_answer_that_is_none_is_waited_out(self, body: bytes) -> None:
        self._all_wait(lambda request: httpx.Response(200, content=body))

    def _all_wait(self, answer: Callable[[httpx.Request], httpx.Response], cause: str = "") -> None:
        erp = self.through(httpx.MockTransport(answer))
        for kind in self.kinds(erp):
            for read in (lambda kind=kind: list(erp.changes_since(kind, None)), lambda kind=kind: list(erp.ids(kind))):
                with pytest.raises(RetryLater, match="What to do: ") as caught:
                    read()
                assert caught.value.scope == "connection"
                assert not cause or caught.value.cause == cause
        assert [finding.level for finding in erp.check()] == ["problem"]
        erp.close()


__all__ = ["JUNK", "ErpConformance", "ErpOverHttp"]
