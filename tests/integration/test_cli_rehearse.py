"""`rehearse` against a shop that can be asked: text, JSON, CSV and a page, and what `--show` knows of it later."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

import cli
from console.forecasts import grouped
from core.cells import harmless
from ledger import Ledger
from ledger.runs import Item
from pipelines import standing
from sandbox.crm.app import crm_app
from sandbox.serve import running
from sandbox.store.app import store_app
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.world import prepare

SECRETS = ("SHOP_KEY", "SHOP_SECRET", "CRM_KEY")
TEXT = """\
[ledger]
url = "sqlite:///{folder}/orderwire.db"
[[connection]]
name = "shop"
connector = "woocommerce"
url = "{shop}"
consumer_key = "env:SHOP_KEY"
consumer_secret = "env:SHOP_SECRET"
[[connection]]
name = "form"
connector = "orderform"
webhook_secrets = ["env:SHOP_SECRET"]
[[connection]]
name = "crm"
connector = "vtiger"
url = "{crm}"
username = "apiuser"
access_key = "env:CRM_KEY"
owners = {{ sales = "20x2" }}
currencies = {{ EUR = "21x1" }}
unknown_product = "OW-UNKNOWN"
[[flow]]
name = "orders"
source = "shop"
target = "crm"
owner = "sales"
"""
FORM = """\
[[flow]]
name = "forms"
source = "form"
target = "crm"
owner = "sales"
"""
EVIL = "=cmd|' /C calc'!A0"


@pytest.fixture(scope="module")
def shop() -> WooShop:
    made = WooShop()
    base = datetime.now(UTC) - timedelta(days=10)
    for id in range(1, 7):
        at = (base + timedelta(hours=id)).strftime("%Y-%m-%dT%H:%M:%S")
        over: dict[str, Any] = {"date_created_gmt": at, "date_created": at, "modified": at, "billing": person(f"P{id}")}
        if id == 4:
            over["status"] = "failed"
        if id == 5:
            over["meta"] = {"placed_by": "<script>alert(1)</script>"}
        if id == 6:
            over |= {"number": EVIL, "lines": [("<b>SKU</b>", 1, "7.00")]}
        made.put(order(id, **over))
    return made


@pytest.fixture(scope="module")
def addresses(shop: WooShop) -> Iterator[tuple[str, str]]:
    with running(store_app(shop=shop)) as store, running(crm_app(access_key="k")) as crm:
        products = [{"productname": "Unknown", "productcode": "OW-UNKNOWN", "unit_price": "0"}]
        httpx.post(f"{crm}/sandbox/seed", json={"products": products}, trust_env=False).raise_for_status()
        yield store, crm


@pytest.fixture
def file(tmp_path: Path, addresses: tuple[str, str], shop: WooShop, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in zip(SECRETS, (shop.consumer_key, shop.consumer_secret, "k"), strict=True):
        monkeypatch.setenv(name, value)
    path = tmp_path / "orderwire.toml"
    path.write_text(TEXT.format(folder=tmp_path, shop=addresses[0], crm=addresses[1]), encoding="utf-8")
    prepare(f"sqlite:///{tmp_path}/orderwire.db")
    return path


def run(file: Path, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    capsys.readouterr()
    ended = cli.main(["rehearse", *arguments, "-c", str(file)])
    said = capsys.readouterr()
    assert ended == code, said.err
    return said.out if code < 2 else said.err


def test_text(file: Path, capsys: pytest.CaptureFixture[str], addresses: tuple[str, str]) -> None:
    httpx.delete(f"{addresses[1]}/sandbox/calls", trust_env=False)
    said = run(file, capsys, "orders", "--last", "30d")
    assert re.search(r"would be created\s+4 .* EUR", said)
    assert re.search(r"would be held\s+1 ", said)
    assert re.search(r"skipped by a rule\s+1 ", said)
    assert "owners table" in said
    assert "What to do" in said
    assert "<b>SKU</b>" in said
    assert "0 orders of known ones, 4 new ones" in said
    assert "no limit is set" in said
    calls = httpx.get(f"{addresses[1]}/sandbox/calls", trust_env=False).json()["operations"]
    assert not {"create", "update", "revise", "delete", "convertlead"} & set(calls)


def test_nothing_held_is_exit_code_0(file: Path, shop: WooShop, capsys: pytest.CaptureFixture[str]) -> None:
    placed = [str(shop.orders[id]["date_created_gmt"]) for id in (1, 3)]
    said = run(file, capsys, "orders", "--since", placed[0], "--until", placed[1], code=0)
    assert re.search(r"all\s+2 ", said)


def test_the_time_that_a_budget_allows(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace('"apiuser"', '"apiuser"\nrate = 1000'), encoding="utf-8")
    assert re.search(r"at least \d+ calls; at 1000 a second they take 0 s", run(file, capsys))


def test_json_to_standard_output(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(file, capsys, "orders", "--json", "-"))
    assert found["flow"] == "orders"
    assert found["forecast"]["orders"]["count"] == len(found["orders"]) == 6
    total = sum(float(one["amount"]) for one in found["orders"])
    assert abs(float(found["forecast"]["orders"]["money"]["EUR"]) - total) < 0.001
    assert found["forecast"]["unmapped"][0]["count"] == 1


def test_csv_is_no_formula(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(file, capsys, "orders", "--csv", str(tmp_path / "o.csv"))
    written = (tmp_path / "o.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf"), "spreadsheets would take it for Latin-1"
    rows = list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"))))
    assert [row["order"] for row in rows] == ["1", "2", "3", "4", "5", f"'{EVIL}"]
    assert rows[0]["verdict"] == "post"
    assert rows[0]["writes"].startswith("create_account: P1 Tester; ")
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1"])
def test_every_beginning_of_a_formula_is_made_harmless(text: str) -> None:
    within = text if text[1] != "=" else f"{text[0]}'{text[1:]}"  # what tab and line end part is two cells to some
    assert harmless(text) == f"'{within}"
    assert harmless(f"x{text}") == f"x{within}"


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        ("1234567.5", "EUR", "1\u202f234\u202f567.50\u00a0EUR"),
        ("-0.5", "EUR", "\u22120.50\u00a0EUR"),
        ("3000", "JPY", "3\u202f000\u00a0JPY"),
    ],
)
def test_money_on_the_page(amount: str, currency: str, words: str) -> None:
    assert grouped(amount, currency) == words


class Page(HTMLParser):
    """What a browser would load, and whether what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [str(value) for name, value in attrs if name in {"src", "href", "srcset", "action"}]
        if tag not in {"meta", "br"}:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def test_page(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(file, capsys, "orders", "--html", str(tmp_path / "o.html"))
    text = (tmp_path / "o.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.stack == []
    assert not page.tags & {"script", "b", "img", "link", "iframe", "form"}
    assert page.loads == []
    assert "url(" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;b&gt;SKU&lt;/b&gt;" in text
    assert "prefers-color-scheme: dark" in text


def test_show_needs_neither_store_nor_secrets(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(file, capsys, "orders")
    for name in SECRETS:
        monkeypatch.delenv(name)
    assert run(file, capsys, "orders", "--show") == first


def test_show_has_what_came_in_as_well(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Nothing was rehearsed for orders. What to do:" in run(file, capsys, "--show", code=2)
    ledger = Ledger.open(f"sqlite:///{tmp_path}/orderwire.db")
    item = Item("shop/order/77", "post", "77", "5.00", "EUR", facts={"customer": "found", "calls": 2})
    ledger.runs.put(standing.run_of(ledger, "orders").id, [item])
    ledger.close()
    only = run(file, capsys, "--show", code=0)
    assert "orders: what came in from shop since" in only
    assert re.search(r"would be created\s+1 ", only)
    run(file, capsys, "orders")
    both = run(file, capsys, "--show")
    assert both.index("orders of shop placed from") < both.index("what came in from shop")
    assert len(json.loads(run(file, capsys, "--show", "--json", "-"))["orders"]) == 6
    assert len(json.loads(run(file, capsys, "--standing", "--json", "-", code=0))["orders"]) == 1


def test_a_run_that_was_stopped_says_so(
    file: Path, capsys: pytest.CaptureFixture[str], addresses: tuple[str, str]
) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(addresses[1], "http://127.0.0.1:9"), encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["rehearse", "orders", "-c", str(file)]) == 1
    said = capsys.readouterr().err
    assert "The rehearsal stopped after 0 orders" in said
    assert said.count("What to do") == 1
    assert "It was stopped before its end" in run(file, capsys, "--show", code=0)
    file.write_text(text, encoding="utf-8")
    found = json.loads(run(file, capsys, "orders", "--json", "-"))
    assert (found["run"]["id"], found["run"]["state"], len(found["orders"])) == (1, "done", 6)


def test_a_store_that_cannot_be_asked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text + FORM, encoding="utf-8")
    assert "`orderwire rehearse forms --show`" in run(file, capsys, "forms", code=2)
    capsys.readouterr()
    assert cli.main(["rehearse", "-c", str(file)]) == 1
    said = capsys.readouterr()
    assert "form cannot be asked" in said.err
    assert "orders: orders of shop" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "There is no flow named 'nonsense'"),
        (("--last", "soon"), "not a span of time"),
        (("--last", "3d", "--since", "2026-01-01"), "contradict"),
        (("--until", "2026-01-01"), "says nothing without --since"),
        (("--since", "2026-01-02", "--until", "2026-01-01"), "is not after"),
        (("--show", "--last", "3d"), "leave --last"),
        (("--csv", "-", "--json", "-"), "Only one report"),
        (("--csv", "/no/such/folder/o.csv"), "cannot be written"),
    ],
)
def test_wrong_words(file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    assert words in " ".join(run(file, capsys, *arguments, code=2).replace("│", " ").split())
