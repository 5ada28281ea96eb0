"""Row R16: malformed bodies and headers, into the parsers and over HTTP. Refused, kept or read: never a 5xx, never a hang."""

from __future__ import annotations

import base64
import copy
import json
import random
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors import orderform, woocommerce
from connectors.http import retry_after
from connectors.roles import Request, Store
from connectors.vtiger.client import envelope
from core.clock import Clock
from core.errors import Held, Rejected
from core.keys import Key
from core.secrets import SecretRef
from sandbox.store import deliver, woo
from tests.chaos.conftest import MakeCase, MakeFleet, selling
from tests.chaos.harness.oracle import Verdict
from tests.chaos.harness.scale import limit, scale
from tests.chaos.harness.shop import HOOK_SECRET, Orders
from tests.orders import corpus

pytestmark = pytest.mark.chaos

SLOW = 1.0
HANGS = 15.0
"""Seconds: what takes longer is no slow machine."""
FORM_SECRET = base64.b64encode(b"chaos-tests-only-32-bytes-long-ok").decode()
FORM = Path("connectors/orderform/example.json")
WEIRD: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    1e308,
    -0.0,
    "",
    "\x00",
    "\ud800",
    "9" * 5000,
    "1e400",
    "NaN",
    "-Infinity",
    "0x1F",
    "١٢٣",
    "\u202e1.00",
    "2026-02-30T25:61:61",
    "9999-12-31T23:59:59+23:59",
    "../../etc/passwd",
    "' OR 1=1 --",
    "<script>",
    [],
    {},
    [[[[[]]]]],
    {"": {"": {}}},
    [None] * 50,
)
HEADERS = ("content-type", "x-wc-webhook-topic", "x-wc-webhook-signature", "webhook-id", "webhook-timestamp", "date")


class Mangler:
    """Spoils documents, bytes and headers by a seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def document(self, document: Any) -> Any:
        """Some values of it replaced, removed or doubled."""
        spoilt = copy.deepcopy(document)
        for _ in range(self.dice.choice((1, 1, 2, 5))):
            spoilt = self._spoil(spoilt)
        return spoilt

    def _spoil(self, value: Any) -> Any:
        inside = self.dice.random() < 0.85
        if isinstance(value, dict) and value and inside:
            key = self.dice.choice(list(value))
            if self.dice.random() < 0.15:
                del value[key]
            else:
                value[key] = self._spoil(value[key])
            return value
        if isinstance(value, list) and value and inside:
            n = self.dice.randrange(len(value))
            value[n] = self._spoil(value[n])
            return value
        return copy.deepcopy(self.dice.choice(WEIRD))

    def body(self, document: Any) -> bytes:
        """The document, or what is left of it, as bytes."""
        kind = self.dice.random()
        if kind < 0.6:
            return json.dumps(self.document(document)).encode("utf-8", "surrogatepass")
        data = bytearray(json.dumps(document).encode())
        if kind < 0.75:
            return bytes(data[: self.dice.randrange(len(data))])
        if kind < 0.9:
            for _ in range(self.dice.randint(1, 20)):
                data[self.dice.randrange(len(data))] = self.dice.randrange(256)
            return bytes(data)
        return self.dice.choice(
            (
                b"",
                b"[" * 50_000,
                b'{"id":' * 20_000,
                b"\xff\xfe" + bytes(data),
                b"\xef\xbb\xbf" + bytes(data),
                bytes(self.dice.randrange(256) for _ in range(200)),
                b'{"id": 1' + b"0" * 5000 + b"}",
                b"webhook_id=1",
                b'{"id":1,"id":2,"line_items":[],"total":NaN}',
            )
        )

    def headers(self, headers: dict[str, str]) -> dict[str, str]:
        """As they were mostly; else something odd in one of them."""
        made = {name.lower(): value for name, value in headers.items()}
        if self.dice.random() < 0.3:
            odd = self.dice.choice(
                ("", " ", "A" * 10_000, "ünïcode", "v1,", "v1,!!", "9" * 30, "-1", "1e9", "a,b c,d==")
            )
            made[self.dice.choice((*HEADERS, *made))] = odd
        return made


def stores(tmp_path: Path) -> tuple[Store, Store]:
    (tmp_path / "hook").write_text(HOOK_SECRET)
    (tmp_path / "form").write_text(f"whsec_{FORM_SECRET}")
    hook, form = SecretRef(f"file:{tmp_path}/hook"), SecretRef(f"file:{tmp_path}/form")
    shop = woocommerce.WooCommerceSettings(
        name="shop", url="http://127.0.0.1:9", consumer_key=hook, consumer_secret=hook, webhook_secrets=(hook,)
    )
    return (
        woocommerce.build(shop, clock=Clock()),
        orderform.build(orderform.OrderFormSettings(name="form", webhook_secrets=(form,))),
    )


def signed_by_shop(body: bytes) -> dict[str, str]:
    return woo.delivery({}, "order.updated", HOOK_SECRET)[0] | {"X-WC-Webhook-Signature": signature(body)}


def signature(body: bytes) -> str:
    import hashlib
    import hmac

    return base64.b64encode(hmac.digest(HOOK_SECRET.encode(), body, hashlib.sha256)).decode()


def signed_by_form(body: bytes) -> dict[str, str]:
    try:
        body.decode()
    except UnicodeDecodeError:
        return deliver.signed({}, FORM_SECRET)[0]
    from standardwebhooks import Webhook

    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(FORM_SECRET).sign("msg_1", now, body.decode()),
    }


def swallowed(store: Store, headers: dict[str, str], body: bytes) -> str:
    """What became of a delivery; raises only what is a bug."""
    try:
        changes = store.receive(Request("POST", headers, body, datetime.now(UTC)))
    except Rejected as error:
        return "refused" if 400 <= error.status < 500 else "wrongly refused"
    for change in changes:
        if change.problem or change.raw is None:
            return "kept"
        try:
            store.order(Key(store.name, "order", change.key.id), change.raw)
        except Held as error:
            return "held" if "What to do:" in error.message else "held without advice"
    return "read"


@pytest.mark.timeout(limit(240))
def test_r16_malformed_input_into_every_parser(tmp_path: Path, case: MakeCase, seed: int) -> None:
    this = case("R16-parsers")
    inputs = scale(50_000, 1_000_000)
    mangler, shop_and_form = Mangler(seed), stores(tmp_path)
    documents = [corpus()[:40], [json.loads(FORM.read_text())]]
    sign: tuple[Callable[[bytes], dict[str, str]], ...] = (signed_by_shop, signed_by_form)
    seen: dict[str, int] = {}
    found, slowest = Verdict(), 0.0
    for n in range(inputs):
        began = time.thread_time()  # what it costs, whatever else the machine does
        if n % 10 == 9:
            what = other_parsers(mangler, documents[0][n % 40])
        else:
            which = n % 2
            body = mangler.body(mangler.dice.choice(documents[which]))
            headers = mangler.headers(sign[which](body))
            began = time.thread_time()
            what = swallowed(shop_and_form[which], headers, body)
        slowest = max(slowest, time.thread_time() - began)
        seen[what] = seen.get(what, 0) + 1
    for store in shop_and_form:
        store.close()
    this.passes(inputs, found, slowest_ms=round(slowest * 1000), **dict(sorted(seen.items())))
    assert slowest < SLOW
    assert set(seen) == {"refused", "kept", "held", "read", "other"}, seen


def other_parsers(mangler: Mangler, document: Any) -> str:
    """The CRM's envelope and the header that says how long to wait."""
    text = mangler.body({"success": True, "result": document}).decode("utf-8", "replace")
    envelope(text)
    seconds = retry_after(
        mangler.dice.choice((text[:60], "1e9", "-5", "9" * 40, "Fri, 31 Dec 99999 23:59:59 GMT", "٣"))
    )
    assert seconds is None or 1 <= seconds <= 3600
    return "other"


@pytest.mark.timeout(limit(120))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_r16_malformed_requests_over_http(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    """Raw bytes on the socket: no 5xx, no hang; and orders still go through afterwards."""
    this = case("R16-http", engine="sqlite")
    inputs = scale(2000, 20_000)
    mangler = Mangler(seed)
    documents = corpus()[:20]
    statuses: dict[int, int] = {}
    slowest = 0.0
    with installation(database_url) as fleet, selling(fleet) as shop:
        for _ in range(inputs):
            body = mangler.body(mangler.dice.choice(documents))
            began = time.perf_counter()
            whole = mangler.dice.random() < 0.95
            status = raw_post(fleet.port, request_bytes(mangler, body, whole=whole), whole=whole)
            slowest = max(slowest, time.perf_counter() - began)
            statuses[status] = statuses.get(status, 0) + 1
        known = {row[0] for row in fleet.jobs.rows("SELECT id FROM job")}
        shop.send(Orders(seed).mixed(10, customers=10, updated=0.0))
        shop.sent(30)
        assert not [status for status in statuses if status >= 500], statuses
        counts = ",".join(f"{status}:{count}" for status, count in sorted(statuses.items()))
        fleet.kill("up")  # what was malformed may be waiting for a shop that is not there; the good ones are looked at
        taken = {row[0] for row in fleet.jobs.rows("SELECT record_id FROM event WHERE kind = 'order'")}
        found = Verdict(lost=sum(str(id) not in taken for _, id in shop.newest()))
        this.passes(inputs, found, slowest_ms=round(slowest * 1000), jobs=len(known), statuses=counts)
        assert slowest < HANGS, f"{slowest:.1f} s"


def request_bytes(mangler: Mangler, body: bytes, *, whole: bool) -> bytes:
    """A request as bytes: mostly right but for its body, sometimes wrong in itself."""
    headers = mangler.headers(signed_by_shop(body))
    path = mangler.dice.choice(
        ("/hooks/shop",) * 6 + ("/hooks/" + "a" * 3000, "/hooks/%00", "/hooks/../shop", "/hooks/shop?" + "b" * 5000)
    )
    length = str(len(body)) if whole else mangler.dice.choice(("-1", "abc", str(len(body) + 7), "9" * 40))
    lines = [f"POST {path} HTTP/1.1", "host: localhost", "connection: close", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name != "content-length"]
    if not whole:
        lines.insert(
            mangler.dice.randrange(len(lines)), mangler.dice.choice(("garbage", ": x", "x" * 70_000, "a:b\x00"))
        )
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


def raw_post(port: int, request: bytes, *, whole: bool) -> int:
    """The status; 0 where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS) as connection:
        try:
            connection.sendall(request)
            if not whole:
                connection.shutdown(socket.SHUT_WR)  # or the server waits for the rest
            answer = connection.recv(64)
            while connection.recv(65_536):
                pass
        except OSError:
            return 0
    parts = answer.split(b" ", 2)
    return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else 0
