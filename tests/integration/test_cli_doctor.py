"""`doctor`, `doctor --mend` and `gaps` as people use them, against the stand-in store."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import cli
from core.errors import Rejected
from ledger import Ledger, migrate
from pipelines.webhooks import Refusals
from sandbox.serve import running
from sandbox.store.woo import MOST_FAILURES, WooShop, routes
from tests.world import prepare

TEXT = """\
[ledger]
url = "sqlite:///{folder}/orderwire.db"
[[connection]]
name = "shop"
connector = "woocommerce"
url = "{url}"
consumer_key = "env:OW_DOCTOR_KEY"
consumer_secret = "env:OW_DOCTOR_KEY"
webhook_secrets = ["env:OW_DOCTOR_HOOK"]
deliver_to = "{us}"
[[connection]]
name = "crm"
connector = "vtiger"
url = "http://127.0.0.1:9"
username = "u"
access_key = "env:OW_DOCTOR_KEY"
owners = {{ sales = "20x2" }}
[[flow]]
name = "orders"
source = "shop"
target = "crm"
owner = "sales"
"""


@dataclass
class Place:
    """A shop, our side of its deliveries, and the configuration between them."""

    shop: WooShop
    us: str
    file: str
    received: list[tuple[str, bytes]]
    answers: list[int]
    ledger: Ledger

    def run(self, *arguments: str) -> int:
        return cli.main([*arguments, "--config", self.file])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("OW_DOCTOR_KEY", "key")
    monkeypatch.setenv("OW_DOCTOR_HOOK", "hook")
    shop = WooShop(consumer_key="key", consumer_secret="key", writable=True)
    received: list[tuple[str, bytes]] = []
    answers = [200]

    async def take(request: Request) -> Response:
        received.append((request.headers.get("x-wc-webhook-signature", ""), await request.body()))
        return Response(status_code=answers[0])

    ours = Starlette(routes=[Route("/hooks/shop", take, methods=["POST"])])
    with running(Starlette(routes=routes(shop))) as url, running(ours) as us:
        path = tmp_path / "orderwire.toml"
        path.write_text(TEXT.format(folder=tmp_path, url=url, us=us), encoding="utf-8")
        prepare(f"sqlite:///{tmp_path}/orderwire.db")
        ledger = Ledger.open(f"sqlite:///{tmp_path}/orderwire.db")
        migrate.require_current(ledger.db)
        yield Place(shop, us, str(path), received, answers, ledger)
        ledger.close()


def topics(shop: WooShop) -> dict[str, str]:
    return {hook["topic"]: hook["status"] for hook in shop.webhooks}


ALL = {"order.created": "active", "order.updated": "active", "order.deleted": "active"}


def test_mend_creates_what_is_missing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("doctor") == 0
    assert "No webhook of this topic" in capsys.readouterr().out
    assert place.run("doctor", "--mend", "--yes") == 0
    said = capsys.readouterr().out
    assert said.index("create it, delivering to") < said.index("Active, delivers to")
    assert topics(place.shop) == ALL
    assert {hook["delivery_url"] for hook in place.shop.webhooks} == {f"{place.us}/hooks/shop"}
    assert set(place.shop.secrets.values()) == {"hook"}
    assert [body for _, body in place.received] == [b"webhook_id=1", b"webhook_id=2", b"webhook_id=3"], "pinged"
    place.shop.announce("order.created", {"id": 1})
    assert place.received[-1][0], "and deliveries come, signed"
    assert place.run("doctor", "--mend", "--yes") == 0
    assert "There is nothing to mend." in capsys.readouterr().out
    assert len(place.shop.webhooks) == 3


def test_disabled_by_the_store_is_named_and_mended(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run("doctor", "--mend", "--yes")
    place.answers[0] = 503
    for _ in range(MOST_FAILURES + 2):
        place.shop.announce("order.created", {"id": 1})
    assert topics(place.shop)["order.created"] == "disabled"
    capsys.readouterr()
    assert place.run("doctor") == 1
    assert "The shop has set it to disabled" in capsys.readouterr().out
    place.answers[0] = 200
    assert place.run("doctor", "--mend", "--yes", "--json") == 0
    assert {row["level"] for row in json.loads(capsys.readouterr().out)} == {"ok", "warning"}, (
        "no delivery has come yet"
    )
    assert topics(place.shop) == ALL
    assert len(place.shop.webhooks) == 3, "the same one, not another"


def test_it_asks_first(place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.run("doctor", "--mend") == 2
    output = capsys.readouterr()
    assert "create it" in output.out
    assert "--yes" in output.err
    for answer in ("n\n", "y\n"):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert place.run("doctor", "--mend") == 0
        assert len(place.shop.webhooks) == (3 if answer == "y\n" else 0)


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


def test_a_key_that_may_only_read(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.shop.writable = False
    assert place.run("doctor", "--mend", "--yes") == 2
    assert "Read/Write" in capsys.readouterr().err
    assert place.shop.webhooks == []
    assert place.ledger.states.get("shop") is None, "the connection is not out for that"


def test_a_paused_shop_is_not_written_to(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.ledger.states.pause("shop", 3600)
    assert place.run("doctor", "--mend", "--yes") == 2
    assert "orderwire resume shop" in capsys.readouterr().err
    assert place.shop.webhooks == []


def test_a_wrong_secret_shows_in_refused_deliveries(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run("doctor", "--mend", "--yes")
    place.shop.secrets = dict.fromkeys(place.shop.secrets, "another")
    refusals = Refusals(place.ledger)
    for _ in range(3):
        if refusals.to_be_written("shop", Rejected("signed with another secret")):
            refusals.write("shop")
    refusals.write("shop")
    capsys.readouterr()
    assert place.run("doctor") == 1
    assert "At least 3 deliveries were signed with another secret" in capsys.readouterr().out
    assert place.run("doctor", "--mend", "--yes") == 1, "it is right again when a delivery has come"
    assert set(place.shop.secrets.values()) == {"hook"}
    assert "with our secret" in capsys.readouterr().out


def test_gaps(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("gaps") == 0
    assert "No order number is missing." in capsys.readouterr().out
    place.ledger.cursors.set("gaps/shop", "W-7..W-9, W-11")
    assert place.run("gaps", "--json") == 0
    lost: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert lost["shop"]["missing"] == ["W-7", "W-8", "W-9", "W-11"]
    assert place.run("gaps", "--known", "W-8..W-9", "--reason", "test orders") == 0
    said = capsys.readouterr().out
    assert "W-7, W-11" in said
    assert "test orders" in said
    assert place.run("gaps", "--known", "W-7") == 2
    assert "--reason" in capsys.readouterr().err
    assert place.run("gaps", "--known", "W-7..x", "--reason", "r") == 2
    assert place.run("gaps", "--store", "shpo") == 2
    assert "What to do: use one of shop" in capsys.readouterr().err
    assert place.run("gaps", "--now", "--json") == 0
    assert json.loads(capsys.readouterr().out)["shop"]["known"] == {"W-8": "test orders", "W-9": "test orders"}
