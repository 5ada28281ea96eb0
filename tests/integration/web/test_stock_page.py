"""Stock for people: on its page, in the API, and at the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.rights import Role, Scope
from core.settings import BuyerSettings, StockSettings
from ledger import Ledger
from ledger.stock import Level
from ledger.stockoffers import Told
from ledger.thresholds import Threshold
from pipelines.stocks import Judge
from tests import cli_desk
from tests.desk import HOSTILE, logged_in
from tests.integration.ledger.test_stock import AT, state
from tests.programs import program
from tests.world import SkippingClock, World, prepare

ORIGIN = "http://127.0.0.1"
GOODS = StockSettings(name="goods", source="erp", owner="anna", via=("mail",), safety=Decimal(2))
file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed
SECTIONS = """
[[connection]]
name = "erp"
connector = "feed"
folder = "."
columns = { KS_INVENTORY = { sku = 1, on_hand = 2 } }
[[connection]]
name = "mail"
connector = "smtp"
host = "127.0.0.1"
security = "none"
sender = "orderwire@example.com"
[[stock]]
name = "goods"
source = "erp"
owner = "anna"
via = ["mail"]
safety = 2
[[buyer]]
name = "anna"
email = "anna@example.com"
"""


def fill(ledger: Ledger) -> None:
    """LAMP-1 is low, with an order at risk; the others are not."""
    names: dict[str, tuple[str, str]] = {
        "LAMP-1": ("Desk lamp", "3"),
        "LAMP-2": (HOSTILE[0], "60.50"),
        "SHADE/9": ("Shade", "7"),
    }
    levels = [
        Level("main", sku, name, "lamps", Decimal(count), None, None, None, AT) for sku, (name, count) in names.items()
    ]
    ledger.stock.keep("erp", levels)
    ledger.stock.note("erp", polled_at=ledger.clock.now(), bad=1, bad_why="SKU-7 has no quantity.")
    ledger.stock.thresholds.put(
        "erp", [Threshold("product", "LAMP-1", minimum=Decimal(5), target=Decimal(20))], by="anna"
    )
    open_order = state("shop/order/1001", placed_at=ledger.clock.now() - timedelta(days=1))
    ledger.orders.keep(
        replace(open_order, lines=tuple(replace(line, sku="LAMP-1", quantity=Decimal(2)) for line in open_order.lines))
    )
    Judge.of(ledger, GOODS).levels(levels)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'world.sqlite'}"
    prepare(url)
    with World(url, "http://127.0.0.1:9", clock=SkippingClock()) as made:
        made.context.stocks = {"goods": GOODS}
        made.context.buyers = {"anna": BuyerSettings(name="anna"), "bert": BuyerSettings(name="bert")}
        fill(made.ledger)
        yield made


def browser(world: World, role: Role = Role.OPERATOR) -> TestClient:
    headers = {"accept": "text/html", "origin": ORIGIN}
    client = TestClient(world.app(lambda: None), base_url=ORIGIN, headers=headers, follow_redirects=False)
    client.cookies.update(logged_in(world, role))
    return client


def alert(world: World) -> Any:
    [found] = world.ledger.stock.alerts.listed()
    return found


def test_the_first_page_says_that_something_is_low_until_it_is_put_off(world: World) -> None:
    text = browser(world).get("/").text
    assert "1 article is below its threshold" in text
    assert 'href="/stock?of=goods"' in text
    assert "All is well" not in text
    world.ledger.stock.alerts.snooze(alert(world).id, "delivery", by="anna")
    assert "below its threshold" not in browser(world).get("/").text


def test_the_page(world: World) -> None:
    text = browser(world).get("/stock").text
    low, levels, thresholds = (text.index(f'id="{name}-title"') for name in ("low", "levels", "thresholds"))
    assert low < text.index("Desk lamp") < levels < text.index("SHADE/9") < thresholds
    assert HOSTILE[0] not in text, "what a source calls an article is no markup"
    for words in ("1 level cannot be read", "SKU-7 has no quantity.", "58.5", "22 days", "130.90", "shop/order/1001"):
        assert words in text, words
    found = browser(world).get("/stock", params={"of": "goods", "q": "shade", "warehouse": "main"}).text
    assert "SHADE/9" in found
    assert "Desk lamp" not in found


def test_pages_of_many(world: World) -> None:
    many = [Level("main", f"X{number:03}", "", "", Decimal(1), None, None, None, AT) for number in range(120)]
    world.ledger.stock.keep("erp", many)
    client = browser(world, Role.VIEWER)
    assert "after=main%2FX096" in client.get("/stock").text
    assert "X119" in client.get("/stock", params={"after": "main/X096"}).text


ODD = (
    *HOSTILE, "a/b", "/", "//x", "a?of=other", "a#low", "100 %", "%2F", "%00", "a&q=b", "a b", "'a\"", "[bold]x[/bold]", "[/b]",
    "constructor", "__proto__", "items", "Größe/Halle 2", "倉庫", "a  b",
)  # fmt: skip
"""What a warehouse or an article may be called."""


def odd(ledger: Ledger) -> list[tuple[str, str]]:
    """Each odd name as a warehouse, in it an article of another odd name; (SKU, warehouse) as they are listed."""
    items = [(sku, warehouse) for sku, warehouse in zip(ODD, reversed(ODD), strict=True)]
    levels = [Level(warehouse, sku, sku, sku, Decimal(1), None, Decimal(4), None, AT) for sku, warehouse in items]
    ledger.stock.keep("erp", levels)
    Judge.of(ledger, GOODS).levels(levels)
    return items


def shown(text: str) -> list[str]:
    """The articles of the table of levels."""
    table = text[text.index('id="levels-title"') : text.index('id="thresholds-title"')]
    return [unescape(found).replace(r"\u202e", "\u202e") for found in re.findall(r"<td><bdi>(.*?)</bdi>", table)]


def test_odd_names_are_paged_like_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.dashboard.stock.ROWS", 1)
    wanted = {sku for sku, _ in odd(world.ledger)} | {"LAMP-1", "LAMP-2", "SHADE/9"}
    found: list[str] = []
    client, address = browser(world, Role.VIEWER), "/stock?of=goods"
    while address and len(found) <= len(wanted):
        answer = client.get(address)
        assert answer.status_code == 200, address
        found += shown(answer.text)
        further = re.findall(r'href="([^"]+)">Further', answer.text)
        address = unescape(further[0]) if further else ""
    assert sorted(found) == sorted(wanted)


def test_odd_names_in_links_and_forms_mean_themselves(world: World) -> None:
    items, client, put = odd(world.ledger), browser(world), world.ledger.stock.thresholds
    for sku, warehouse in items:
        given = {"of": "goods", "scope": "product", "subject": sku, "warehouse": warehouse, "minimum": "3"}
        assert client.post("/stock/thresholds", data=given).status_code == 303
        assert client.get("/stock").status_code == 200  # the sentence that the button says is told
        only = client.get("/stock", params={"of": "goods", "q": sku, "warehouse": warehouse})
        assert shown(only.text) == [sku]
    text = client.get("/stock").text
    for hostile in HOSTILE[:2]:
        assert hostile not in text
    assert {unescape(one) for one in re.findall(r'<option value="([^"]*)"', text)} >= set(ODD)
    forms = re.findall(r'<form action="/stock/thresholds/remove".*?</form>', text)
    assert len(forms) == len(items) + 1
    for form in forms:
        fields = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
        assert client.post("/stock/thresholds/remove", data=fields).status_code == 303, fields
    assert put.all("erp") == []
    for one in world.ledger.stock.alerts.listed(limit=200):
        answer = client.post(f"/stock/alerts/{one.id}/snooze", data={"of": "goods"})
        assert client.get(answer.headers["location"]).status_code == 200
    assert {one.snooze for one in world.ledger.stock.alerts.listed(limit=200)} == {"delivery"}


def test_programs_page_and_set_odd_names_too(world: World) -> None:
    items, client, address = odd(world.ledger), program(world.app(lambda: None)), "/api/v1/stock/goods/levels?limit=1"
    found: list[tuple[str, str]] = []
    while address and len(found) <= len(items) + 3:
        page = client.get(address).json()
        found += [(one["sku"], one["warehouse"]) for one in page["data"]]
        address = page["next"]
    assert sorted(found) == sorted([*items, *((name, "main") for name in ("LAMP-1", "LAMP-2", "SHADE/9"))])
    for sku, warehouse in items:
        which = {"scope": "product", "subject": sku, "warehouse": warehouse}
        path = "/api/v1/stock/goods/thresholds"
        assert client.put(path, json={**which, "minimum": "3"}).status_code == 204
        [only] = client.get("/api/v1/stock/goods/levels", params={"text": sku, "warehouse": warehouse}).json()["data"]
        assert (only["minimum"], only["minimum_of"]) == ("3", "product")
        assert client.delete(path, params=which).status_code == 204


@pytest.mark.parametrize("after", ["x", "/", "%", "%00/%00", "main/%ff", "a/b/c", "x" * 4000, "\0"])
def test_a_place_that_no_list_gave_is_no_harm(world: World, after: str) -> None:
    assert browser(world).get("/stock", params={"after": after}).status_code == 200
    assert program(world.app(lambda: None)).get("/api/v1/stock/goods/levels", params={"after": after}).status_code in {
        200,
        422,
    }


def test_without_a_stock_the_page_says_what_to_do(world: World) -> None:
    world.context.stocks = {}
    assert "write a [[stock]]" in browser(world).get("/stock").text


def test_a_page_reads_the_thresholds_that_it_shows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a hundred thousand."""
    many = [Threshold("product", f"M-{number:03d}", minimum=Decimal(1)) for number in range(300)]
    world.ledger.stock.thresholds.put("erp", many, by="anna")
    built: list[str] = []

    def counted(*given: Any, **named: Any) -> Threshold:
        one = Threshold(*given, **named)
        built.append(one.subject)
        return one

    monkeypatch.setattr("ledger.thresholds.Threshold", counted)
    text = browser(world).get("/stock").text
    assert "The first 100 of 301" in text
    assert len(built) <= 102
    assert "The first" not in browser(world).get("/stock", params={"q": "m-29"}).text


def test_quantities_are_written_in_one_way(world: World) -> None:
    """A CRM tells three decimals of everything."""
    level = Level("main", "LAMP-1", "Lamp", "lamps", Decimal("-8.000"), None, None, None, AT)
    Judge.of(world.ledger, GOODS).levels([level])
    assert ">-8<" in browser(world).get("/stock").text


def test_thresholds_by_hand(world: World) -> None:
    client, put = browser(world), world.ledger.stock.thresholds
    given = {"of": "goods", "scope": "group", "subject": "lamps", "minimum": "2,5", "target": "9", "owner": "bert"}
    assert client.post("/stock/thresholds", data=given).status_code == 303
    found = put.get("erp", "group", "lamps")
    assert found is not None
    assert (found.minimum, found.target, found.owner) == (Decimal("2.5"), Decimal(9), "bert")
    wrongs: list[tuple[dict[str, str], str]] = [
        ({"minimum": "many"}, "no quantity"),
        ({"owner": "nobody-we-know"}, "no buyer named"),
        ({"target": "1"}, "below the minimum"),
        ({"subject": ""}, "Nothing says what"),
        ({"scope": "shelf"}, "a product, a group, a warehouse"),
        ({"scope": "warehouse"}, "warehouse alone"),
        ({"minimum": "", "target": "", "owner": ""}, "says nothing"),
        ({"minimum": "1e9999"}, "no quantity"),
        ({"of": "other"}, "no [[stock]] named"),
    ]
    for over, said in wrongs:
        answer = client.post("/stock/thresholds", data=given | over)
        assert answer.status_code in {404, 409, 422}, over
        assert said in answer.text, over
    client.post("/stock/thresholds/remove", data={"of": "goods", "scope": "group", "subject": "lamps"})
    assert put.get("erp", "group", "lamps") is None
    assert browser(world, Role.VIEWER).post("/stock/thresholds", data=given).status_code == 403


@pytest.mark.parametrize(
    ("scope", "subject", "warehouse", "unheard"),
    [
        *(
            ("product", sku, where, not known)
            for sku, where, known in (("A", "", 1), ("A", "main", 1), ("A", "x", 0), ("B", "", 0))
        ),
        *(("warehouse", "", where, where != "main") for where in ("main", "mian")),
        *(("group", "lamps", where, where == "mian") for where in ("", "main", "mian")),
    ],
)
def test_a_threshold_of_what_nobody_told_of_is_set_and_doubted(
    world: World, scope: str, subject: str, warehouse: str, unheard: bool
) -> None:
    world.ledger.stock.keep("erp", [Level("main", "A", "", "", Decimal(8), None, None, None, AT)])
    client = browser(world)
    given = {"of": "goods", "scope": scope, "subject": subject, "warehouse": warehouse, "minimum": "1"}
    assert client.post("/stock/thresholds", data=given).status_code == 303
    text = client.get("/stock").text
    assert "Set; it is compared" in text
    assert ("No level of it is known yet" in text) == unheard


def test_thresholds_as_a_sheet(world: World) -> None:
    client = browser(world)
    sheet = client.get("/stock/thresholds.csv", params={"of": "goods"}).text
    assert sheet.splitlines() == ["\ufeffscope,subject,warehouse,owner,minimum,target,remove", "product,LAMP-1,,,5,20,"]
    wanted = (
        "scope;subject;warehouse;owner;minimum;target;remove\r\nproduct;LAMP-1;;;;;yes\r\ngroup;lamps;;bert;4;;\r\n"
        "group;lamps;;anna;4;;\r\nproduct;A;;;x;;\r\nproduct;B;;nobody;1;;\r\n"
    )
    answer = client.post("/stock/thresholds/import", data={"of": "goods"}, files={"sheet": ("t.csv", wanted.encode())})
    assert answer.status_code == 303
    text = client.get(answer.headers["location"]).text
    for words in ("Changed: 2. So already: 0. Wrong: 3.", "Line 4: A line above", "Line 5: x is no quantity"):
        assert words in text, words
    found = [(one.scope, one.subject, one.owner) for one in world.ledger.stock.thresholds.all("erp")]
    assert found == [("group", "lamps", "bert")]
    bad = client.post("/stock/thresholds/import", data={"of": "goods"}, files={"sheet": ("t.csv", b"what\nx\n")})
    assert "has a column" in bad.text


def test_a_sheet_that_is_too_large_is_told_what_to_do(world: World) -> None:
    """A request has an end: what a form says it takes must come through."""
    from web.dashboard.stock import LARGEST_SHEET

    client, line = browser(world), b"product,LAMP-1,9\n"
    head = b"scope,subject,minimum\n"
    full = head + line * ((LARGEST_SHEET - len(head)) // len(line))
    post = partial(client.post, "/stock/thresholds/import", data={"of": "goods"})
    assert "more than 960 KiB" in post(files={"sheet": ("t.csv", full + line * 2)}).text
    assert post(files={"sheet": ("t.csv", full)}).status_code == 303


def test_goods_without_a_warehouse_are_no_choice_of_one(world: World) -> None:
    world.ledger.stock.keep("erp", [Level("", "Z", "", "", Decimal(1), None, None, None, AT)])
    text = browser(world).get("/stock").text
    assert re.findall(r'<option value="([^"]*)"', text[: text.index('id="low-title"')]) == ["", "main"]


def test_putting_off(world: World) -> None:
    client, number = browser(world), alert(world).id
    until = (world.ledger.clock.now() + timedelta(days=3)).date().isoformat()
    for given, snooze in (
        ({"kind": "delivery"}, "delivery"),
        ({"kind": "again"}, ""),
        ({"kind": "date", "until": until}, "date"),
    ):
        answer = client.post(f"/stock/alerts/{number}/snooze", data={"of": "goods", **given})
        assert (answer.status_code, alert(world).snooze) == (303, snooze)
    for given in ({"kind": "date", "until": "2020-01-01"}, {"kind": "date"}, {"kind": "for ever"}):
        assert "What to do: " in client.post(f"/stock/alerts/{number}/snooze", data={"of": "goods", **given}).text
    assert client.post("/stock/alerts/9999/snooze", data={"of": "goods"}).status_code == 404
    assert [one.action for one in world.ledger.audit.list() if one.action == "stock.snooze"] == ["stock.snooze"] * 3


def test_the_api(world: World) -> None:
    client = program(world.app(lambda: None))
    page = client.get("/api/v1/stock/goods/levels", params={"limit": 1}).json()
    assert (page["data"][0]["sku"], page["data"][0]["low"], page["data"][0]["free"]) == ("LAMP-1", True, "1")
    assert page["read_at"] is not None
    following = client.get(page["next"]).json()
    assert [one["on_hand"] for one in following["data"]] == ["60.5"]
    [found] = client.get("/api/v1/stock/alerts").json()["data"]
    assert (found["quantity"], found["days_of_cover"], found["orders_at_risk"]) == ("3", 22, ["shop/order/1001"])
    assert found["money_at_risk"] == [{"amount": "130.90", "currency": "EUR"}]
    given = {"scope": "group", "subject": "lamps", "minimum": "4"}
    assert client.put("/api/v1/stock/goods/thresholds", json=given).status_code == 204
    assert [one["subject"] for one in client.get("/api/v1/stock/goods/thresholds").json()["data"]] == [
        "LAMP-1",
        "lamps",
    ]
    page = client.get("/api/v1/stock/goods/thresholds", params={"limit": 1}).json()
    assert [one["subject"] for one in page["data"]] == ["LAMP-1"]
    page = client.get(page["next"]).json()
    assert ([one["subject"] for one in page["data"]], page["next"]) == (["lamps"], None)
    where = {"scope": "group", "subject": "lamps"}
    assert client.delete("/api/v1/stock/goods/thresholds", params=where).status_code == 204
    assert client.delete("/api/v1/stock/goods/thresholds", params=where).status_code == 404
    for wrong in ({"minimum": "x"}, {"minimum": "1e3"}, {"subject": "a\0b"}, {"warehouse": "a\nb"}):
        assert client.put("/api/v1/stock/goods/thresholds", json=given | wrong).status_code == 422, wrong
    assert client.post(f"/api/v1/stock/alerts/{found['id']}/snooze", json={}).status_code == 204
    assert client.get("/api/v1/stock/other/levels").status_code == 404
    reading = program(world.app(lambda: None), [Scope.READ])
    assert reading.post(f"/api/v1/stock/alerts/{found['id']}/snooze", json={}).status_code == 403


def for_sale(world: World) -> None:
    """The shop has one article of ours and refuses another."""
    world.context.stocks = {"goods": GOODS.model_copy(update={"publish": ("shop",)})}
    now = world.ledger.clock.now()
    refused = Told("SHADE/9").failed("refused", f"It is <b>{HOSTILE[0]}</b>.", 5, now)
    unknown = Told("LAMP-2").failed("unknown", "The shop has none.", 58, now)
    world.ledger.stock.offers.put("erp", "shop", [Told("LAMP-1").kept(1, now), refused, unknown])
    world.ledger.stock.offers.note("erp", "shop", problem="The flow orders is not live.", problem_at=now)


def test_what_stores_were_told_is_shown(world: World) -> None:
    for_sale(world)
    text = browser(world, Role.VIEWER).get("/stock").text
    for words in (
        "shop is told how much may be sold:", "1 article.", "It does not know 1.", "1 is refused or in doubt", "In shop",
        "Nothing is told now", "The flow orders is not live.", "not there",
    ):  # fmt: skip
        assert words in text, words
    assert "<b>" not in text, "what a store answers is no markup"
    found = program(world.app(lambda: None)).get("/api/v1/stock/goods/levels").json()["data"]
    told = {one["sku"]: [(of["store"], of["quantity"], of["problem"]) for of in one["stores"]] for one in found}
    assert told == {
        "LAMP-1": [("shop", 1, "")], "LAMP-2": [("shop", None, "unknown")], "SHADE/9": [("shop", None, "refused")],
    }  # fmt: skip


PUBLISHED = """
[[connection]]
name = "second"
connector = "woocommerce"
url = "http://127.0.0.1:9"
consumer_key = "env:OW_CARE_SECRET"
consumer_secret = "env:OW_CARE_SECRET"
"""


def test_what_stores_would_be_told_at_the_command_line(
    file: str, ledger: Ledger, typed: cli_desk.Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = 'safety = 2\ncounts_orders = true\npublish = ["second"]\n'
    with Path(file).open("a", encoding="utf-8") as out:
        out.write(SECTIONS.replace('folder = "."', f'folder = "{tmp_path}"').replace("safety = 2\n", stock) + PUBLISHED)
    fill(ledger)
    assert json.loads(typed("stock", "publish", "goods", "--dry-run", "--json"))[0] == {
        "store": "second", "sku": "LAMP-1", "told": None, "wanted": 1,
    }  # fmt: skip
    assert "would be told" in typed("stock", "publish", "--dry-run")
    at = ledger.clock.now()
    ledger.stock.offers.put("erp", "second", [Told("LAMP-1").kept(1, at), Told("LAMP-2").kept(58, at)])
    ledger.stock.offers.put("erp", "second", [Told("SHADE/9").failed("refused", "No.", 5, at)])
    assert "second has 2, refuses 1." in typed("stock", "list")
    [again] = json.loads(typed("stock", "publish", "--dry-run", "--store", "second", "--json"))
    assert again["sku"] == "SHADE/9", "whoever asks may have mended it there"
    ledger.stock.offers.put("erp", "second", [Told("SHADE/9").kept(again["wanted"], at)])
    assert typed("stock", "publish", "--dry-run", "--store", "second") == "Every store was told what may be sold.\n"
    assert json.loads(typed("stock", "list", "--json"))["levels"][0]["stores"]["second"]["quantity"] == 1
    typed("stock", "publish", "--dry-run", "--store", "shop", code=2)
    monkeypatch.setenv("OW_CARE_SECRET", "set, and nothing is asked")
    assert typed("stock", "publish") == "second was told 0 quantities.\n"
    assert json.loads(typed("stock", "publish", "--json")) == [{"store": "second", "quantities": 0}]
    ledger.states.pause("second", 9_999)
    typed("stock", "publish", code=2)


def test_the_command_line(
    file: str, ledger: Ledger, typed: cli_desk.Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(file).open("a", encoding="utf-8") as out:
        out.write(SECTIONS.replace('folder = "."', f'folder = "{tmp_path}"\nsettle = 0'))
    fill(ledger)
    assert [one["sku"] for one in json.loads(typed("stock", "list", "--json"))["levels"]] == [
        "LAMP-1",
        "LAMP-2",
        "SHADE/9",
    ]
    assert "LOW" in typed("stock", "list", "--text", "lamp-1")
    [found] = json.loads(typed("stock", "alerts", "--json", code=1))
    assert found["orders_at_risk"] == ["shop/order/1001"]
    assert "put off until more" in typed("stock", "snooze", str(found["id"]))
    typed("stock", "alerts")
    typed("stock", "threshold", "warehouse", "main", "--minimum", "1", "--owner", "anna")
    assert "so already" in typed("stock", "threshold", "warehouse", "main", "--minimum", "1", "--owner", "anna")
    sheet = tmp_path / "thresholds.csv"
    typed("stock", "export", str(sheet))
    assert "warehouse,,main,anna,1,," in sheet.read_text(encoding="utf-8-sig")
    sheet.write_text("scope,subject,minimum\nproduct,LAMP-2,many\nproduct,SHADE/9,8\n", encoding="utf-8")
    assert "1 thresholds would change" in typed("stock", "import", str(sheet), "--dry-run", code=1)
    assert "1 thresholds changed, 0 are so already, 1 lines are wrong" in typed("stock", "import", str(sheet), code=1)
    typed("stock", "threshold", "warehouse", "main")
    odd = Level("[/b]/a?b", "[bold]x/#%", "constructor", "", Decimal(1), None, None, None, AT)
    ledger.stock.keep("erp", [odd])
    typed("stock", "threshold", "product", odd.sku, "--warehouse", odd.warehouse, "--minimum", "3")
    table = typed("stock", "list", "--text", odd.sku, "--warehouse", odd.warehouse)
    assert [word in table for word in (odd.sku, odd.warehouse, " 3 ")] == [True, True, True], table
    typed("stock", "threshold", "product", odd.sku, "--warehouse", odd.warehouse)
    assert [one.subject for one in ledger.stock.thresholds.all("erp")] == ["LAMP-1", "SHADE/9"]
    (tmp_path / "DT_0000001_KS_INVENTORY.FULL").write_text(
        "LAMP-1\t30\r\nLAMP-2\t60.5\r\n", encoding="utf-8", newline=""
    )
    monkeypatch.setenv("OW_CARE_SECRET", "set, for now the ERP is asked")
    typed("stock", "read")
    assert typed("stock", "alerts") == "Nothing is low.\n"
    assert typed("stock", "threshold", "product", "LAMP-1", "--minimum", "x", code=2) == ""
