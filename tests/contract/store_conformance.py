"""What every store connector must keep to, whatever its format. A connector's test class inherits `StoreConformance`.

It says how to build the connector, how to sign, and what one order looks like; the security tests come for free.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.roles import Request, Store
from core.errors import Held, Rejected
from core.keys import Change, Key
from core.secrets import SecretRef
from tests.contract.junk import changed_at, paths_of

# Several classes run the same inherited test, which Hypothesis takes for an accident. Each reports its own examples.
inherited = settings(suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow])

BOM = b"\xef\xbb\xbf"
SECOND = 1.0

NOT_JSON = {
    "empty": b"",
    "half": b'{"order": {"id": ',
    "not json": b"order 1001, two chairs",
    "byte order mark alone": BOM,
    "byte order mark of UTF-16": b"\xff\xfe{\x00}\x00",
    "invalid UTF-8": b'{"id": 1, "order": {"id": "\xff\xfe"}}',
    "NaN": b'{"id": 1, "total": NaN, "order": {"id": "1", "total": NaN}}',
    "Infinity": b'{"id": 1, "total": -Infinity, "order": {"id": "1"}}',
    "nested lists": b"[" * 500_000,
    "nested objects": b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
    "a little too deep": b'{"id": 1, "order": ' + b"[" * 100 + b"]" * 100 + b"}",
    "huge integer": b'{"id": 1, "x": ' + b"9" * 900_000 + b"}",
    "huge exponent": b'{"id": 1, "total": 1e999999999}',
    "control characters": b'{"id": 1, "number": "\x00\x01"}',
}
NOT_AN_ORDER = {
    "a number": b"42",
    "text": b'"order"',
    "null": b"null",
    "a list": b"[]",
    "a list of orders": b'[{"id": 1}]',
    "an empty object": b"{}",
    "something else": b'{"subject": "Buy now"}',
    "an id that is none": b'{"id": {"$gt": 0}, "order": {"id": {"$gt": 0}}}',
    "true for an id": b'{"id": true, "line_items": [], "order": {"id": true}}',
    "a negative id": b'{"id": -5, "order": {"id": ""}}',
}
JUNK: Sequence[Any] = (
    None,
    "",
    " ",
    "x",
    "NaN",
    "Infinity",
    "-1",
    "1e400",
    "1,50",
    "١٢",
    "\x00",
    "\ud800",
    "<script>alert(1)</script>",
    "'; DROP TABLE event; --",
    "9" * 5000,
    -1,
    0,
    10**30,
    0.1,
    1e300,
    True,
    [],
    {},
    [1],
    [None],
    [[]],
    {"a": 1},
    "0000-00-00T00:00:00",
    "9999-12-31T23:59:59+23:59",
    "0001-01-01T00:00:00+14:00",
)


class StoreConformance(ABC):
    """Inherit as `class TestMyStore(StoreConformance)`."""

    name: ClassVar[str] = "shop"
    old_secret: ClassVar[str]
    new_secret: ClassVar[str]

    @abstractmethod
    def build(self, secrets: Sequence[SecretRef]) -> Store:
        """The connector with these webhook secrets; whatever it may call does not exist."""

    @abstractmethod
    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        """Headers (lower case) of a genuine delivery of an order."""

    @abstractmethod
    def order(self, number: int) -> dict[str, Any]:
        """The parsed body of a typical order; different numbers are different orders."""

    # ------------------------------------------------------------------------------------------------ helpers

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _secrets(cls) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CONFORMANCE_OLD", cls.old_secret)
            patch.setenv("CONFORMANCE_NEW", cls.new_secret)
            patch.setenv("CONFORMANCE_EMPTY", "")
            patch.delenv("CONFORMANCE_UNSET", raising=False)
            yield

    def store(self, *names: str) -> Store:
        return self.build([SecretRef(f"env:CONFORMANCE_{name}") for name in names or ("OLD", "NEW")])

    def body(self, number: int = 1) -> bytes:
        return json.dumps(self.order(number)).encode()

    def request(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return Request("POST", headers, body, datetime.now(UTC))

    def deliver(self, body: bytes, *, secret: str | None = None, store: Store | None = None) -> Sequence[Change]:
        headers = self.sign(body, secret or self.new_secret)
        return (store or self.store()).receive(self.request(body, headers))

    def one(self, body: bytes) -> Change:
        changes = self.deliver(body)
        assert len(changes) == 1
        return changes[0]

    def assert_unreadable(self, body: bytes) -> None:
        started = time.thread_time()  # what it costs, whatever else the machine does
        change = self.one(body)
        assert time.thread_time() - started < SECOND
        assert change.key.connection == self.name
        assert change.key.kind == "delivery"
        assert change.raw == body
        assert change.problem is not None
        assert "What to do: " in change.problem
        assert self.one(body).key == change.key

    # --------------------------------------------------------------------------------------------- deliveries

    def test_plays_the_role(self) -> None:
        assert isinstance(self.store(), Store)
        assert self.store().name == self.name

    def test_a_signed_order_becomes_one_change(self) -> None:
        body = self.body()
        change = self.one(body)
        assert change.key.connection == self.name
        assert change.key.kind == "order"
        assert change.raw == body
        assert change.problem is None
        assert change.stamp is not None
        assert change.stamp.utcoffset() is not None
        assert change.number
        assert change.content

    def test_raw_is_kept_byte_for_byte(self) -> None:
        body = json.dumps(self.order(1), indent=3, ensure_ascii=False).encode() + b"\n  \n"
        assert self.one(body).raw == body

    def test_content_does_not_depend_on_white_space_or_order_of_keys(self) -> None:
        turned = dict(reversed(list(self.order(1).items())))
        assert self.one(self.body()).content == self.one(json.dumps(turned, indent=1).encode()).content
        assert self.one(self.body()).content != self.one(self.body(2)).content

    def test_a_byte_order_mark_before_an_order_is_no_fault(self) -> None:
        body = BOM + self.body()
        change = self.one(body)
        assert change.key == self.one(self.body()).key
        assert change.raw == body
        assert self.store().order(change.key, body).key == change.key

    def test_a_repetition_is_recognised(self) -> None:
        headers = self.sign(self.body(), self.new_secret)
        first, again = (self.store().receive(self.request(self.body(), headers))[0] for _ in range(2))
        assert first == again

    def test_different_orders_never_share_a_key_or_a_dedupe_key(self) -> None:
        changes = [self.one(self.body(number)) for number in range(1, 101)]
        assert len({change.key for change in changes}) == 100
        assert len({change.dedupe for change in changes}) == 100

    # --------------------------------------------------------------------------------------------- signatures

    @pytest.mark.parametrize("secret", ["old", "new"])
    def test_every_live_secret_is_accepted(self, secret: str) -> None:
        assert self.deliver(self.body(), secret=self.old_secret if secret == "old" else self.new_secret)

    def test_a_retired_secret_is_refused(self) -> None:
        with pytest.raises(Rejected) as refused:
            self.deliver(self.body(), secret=self.old_secret, store=self.store("NEW"))
        assert refused.value.status == 401
        assert "What to do: " in refused.value.message

    def test_an_altered_body_is_refused(self) -> None:
        headers = self.sign(self.body(), self.new_secret)
        for altered in (self.body() + b" ", self.body()[:-1], b"", self.body().replace(b"EUR", b"USD")):
            with pytest.raises(Rejected) as refused:
                self.store().receive(self.request(altered, headers))
            assert refused.value.status == 401

    def test_missing_headers_are_refused(self) -> None:
        signed = self.sign(self.body(), self.new_secret)
        with pytest.raises(Rejected) as refused:
            self.store().receive(self.request(self.body(), {}))
        assert refused.value.status == 401
        emptied = [{**signed, name: ""} for name in signed if "signature" in name]
        for headers in emptied:
            with pytest.raises(Rejected):
                self.store().receive(self.request(self.body(), headers))

    def test_without_a_secret_there_is_no_endpoint(self) -> None:
        headers = self.sign(self.body(), self.new_secret)
        for store in (self.build([]), self.store("UNSET"), self.store("EMPTY")):
            assert not store.accepts_deliveries()
            with pytest.raises(Rejected) as refused:
                store.receive(self.request(self.body(), headers))
            assert refused.value.status == 404

    def test_an_empty_secret_beside_a_good_one_opens_nothing(self) -> None:
        store = self.store("EMPTY", "UNSET", "NEW")
        assert store.accepts_deliveries()
        assert self.deliver(self.body(), store=store)
        with pytest.raises(Rejected):
            self.deliver(self.body(), secret=self.old_secret, store=store)

    @inherited
    @given(data=st.data())
    def test_malformed_headers_are_refused_and_nothing_else(self, data: st.DataObject) -> None:
        signed = self.sign(self.body(), self.new_secret)
        junk = st.one_of(
            st.text(max_size=40),
            st.text(st.characters(), max_size=20).map(lambda text: f"v1,{text}"),
            st.sampled_from(
                ["v1", "v1,", ",", "v1,,", "v1,=", "v1,====", "v2,AAAA", "v1,AAAA v1", "\ud800", "nan", "inf"]
            ),
            st.sampled_from(["1e309", "-1", "0", "9" * 400, "١٢٣٤", " ", "\x00", "é" * 50]),
        )
        names = [name for name in signed if name.startswith(("webhook", "x-"))]
        signature = next(name for name in names if "signature" in name)
        headers = {**signed, **{name: data.draw(junk) for name in data.draw(st.sets(st.sampled_from(names)))}}
        headers[signature] = data.draw(junk)
        with pytest.raises(Rejected) as refused:
            self.store().receive(self.request(self.body(), headers))
        assert refused.value.status == 401

    # ----------------------------------------------------------------------------- genuine, but not an order

    @pytest.mark.parametrize("case", NOT_JSON)
    def test_signed_but_not_json_is_kept(self, case: str) -> None:
        self.assert_unreadable(NOT_JSON[case])

    @pytest.mark.parametrize("case", NOT_AN_ORDER)
    def test_signed_but_not_an_order_is_kept(self, case: str) -> None:
        self.assert_unreadable(NOT_AN_ORDER[case])

    @inherited
    @given(body=st.binary(max_size=200))
    def test_no_signed_bytes_raise(self, body: bytes) -> None:
        assert all(change.raw in {body, None} for change in self.deliver(body))

    @inherited
    @given(data=st.data())
    def test_no_half_order_raises(self, data: st.DataObject) -> None:
        body = self.body()
        place = data.draw(st.integers(0, len(body)))
        self.deliver(body[:place] + data.draw(st.binary(max_size=5)) + body[data.draw(st.integers(0, len(body))) :])

    def test_no_text_from_outside_can_break_a_database(self) -> None:
        for evil in ("a\x00b", "\ud800", "x" * 100_000, "\x1b[2J"):
            for path in paths_of(self.order(1)):
                for change in self.deliver(json.dumps(changed_at(self.order(1), path, evil)).encode()):
                    for text in (str(change.key), change.number, change.dedupe, change.topic):
                        text.encode()
                        assert not any(ord(character) < 32 for character in text)
                        assert len(text) < 400

    # ------------------------------------------------------------------------------------------------ mapping

    def test_a_typical_order_maps(self) -> None:
        change = self.one(self.body())
        order = self.store().order(change.key, change.raw or b"")
        assert order.key == change.key
        assert order.stamp == change.stamp
        assert order.number == change.number
        assert order == self.store().order(change.key, change.raw or b"")

    def test_whatever_stands_in_a_field_is_mapped_or_held_with_advice(self) -> None:
        key, store, held = self.one(self.body()).key, self.store(), 0
        for path in paths_of(self.order(1)):
            for junk in (*JUNK, ...):
                raw = json.dumps(changed_at(self.order(1), path, junk)).encode()
                message = _held_message(store, key, raw)
                held += bool(message)
                assert not message or "What to do: " in message, (path, junk)
                assert len(message) < 1500
                message.encode()
        assert held > 100

    @pytest.mark.parametrize("body", [b"", b"null", b"[1]", b"{}", b"\xff", BOM, b'{"order": 1}', b'{"id": NaN}'])
    def test_what_is_no_order_is_held(self, body: bytes) -> None:
        with pytest.raises(Held, match="What to do: "):
            self.store().order(self.one(self.body()).key, body)

    def test_another_records_text_is_not_taken_for_this_one(self) -> None:
        first, second = self.one(self.body(1)), self.one(self.body(2))
        with pytest.raises(Held):
            self.store().order(first.key, second.raw or b"")


def _held_message(store: Store, key: Key, raw: bytes) -> str:
    """Why the order is held; "" when it maps. Any other error fails the test."""
    try:
        store.order(key, raw)
    except Held as error:
        return error.message
    return ""


__all__ = ["BOM", "JUNK", "NOT_AN_ORDER", "NOT_JSON", "StoreConformance"]
