"""`fetch`, `backfill`, `runs` and `undo` against a shop that can be asked: the stand-in's WooCommerce face over recorded orders."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from console.opening import load, open_context
from ledger import Ledger
from pipelines import parties
from pipelines.runner import Runner
from sandbox.crm.app import crm_app
from sandbox.crm.seed import load as load_crm
from sandbox.serve import running
from sandbox.store.app import store_app
from sandbox.store.woo import WooShop
from tests.world import prepare

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def shop() -> WooShop:
    shop = WooShop()
    for case in json.loads((FIXTURES / "woocommerce" / "orders-corpus.json").read_text(encoding="utf-8"))[:12]:
        shop.put(case["order"], case["refunds"])
    return shop


@pytest.fixture(scope="module")
def addresses(shop: WooShop) -> Iterator[tuple[str, str]]:
    made = crm_app(access_key="k")
    load_crm(made.service, {"products": [{"productname": "Unlisted", "productcode": "UNLISTED"}]})
    with running(store_app(shop=shop)) as store, running(made) as crm:
        yield store, crm


@pytest.fixture
def file(tmp_path: Path, addresses: tuple[str, str], shop: WooShop, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_CONSUMER_KEY", shop.consumer_key)
    monkeypatch.setenv("SHOP_CONSUMER_SECRET", shop.consumer_secret)
    monkeypatch.setenv("CRM_ACCESS_KEY", "k")
    path = tmp_path / "orderwire.toml"
    settings = [f"url={addresses[1]}", "username=apiuser", "access_key=env:CRM_ACCESS_KEY", 'owners={ sales = "20x2" }']
    settings += ["unknown_product=UNLISTED", 'currencies={ EUR = "21x1" }']
    crm = [part for one in settings for part in ("--set", one)]
    assert cli.main(["init", "-c", str(path), "--connector", "vtiger", "--name", "crm", "--no-test", *crm]) == 0
    settings = [f"url={addresses[0]}", "consumer_key=env:SHOP_CONSUMER_KEY", "consumer_secret=env:SHOP_CONSUMER_SECRET"]
    woo = [part for one in settings for part in ("--set", one)]
    assert cli.main(["init", "-c", str(path), "--connector", "woocommerce", "--name", "shop", *woo]) == 0
    text = path.read_text(encoding="utf-8")
    path.write_text(f'[ledger]\nurl = "sqlite:///{tmp_path}/orderwire.db"\n\n{text}', encoding="utf-8")
    prepare(f"sqlite:///{tmp_path}/orderwire.db")
    return path


def jobs(file: Path) -> dict[str, tuple[str, str]]:
    ledger = Ledger.open(f"sqlite:///{file.parent}/orderwire.db")
    try:
        return {job.number: (job.state, job.queue) for job in ledger.jobs.list(limit=1000)}
    finally:
        ledger.close()


def test_init_made_the_flow(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.endswith('\n[[flow]]\nname = "orders"\nsource = "shop"\ntarget = "crm"\n')
    assert cli.main(["config", "validate", "-c", str(file)]) == 0


def test_fetch(file: Path, shop: WooShop, capsys: pytest.CaptureFixture[str]) -> None:
    number = str(next(iter(shop.orders.values()))["number"])
    capsys.readouterr()
    assert cli.main(["fetch", "shop", number, "-c", str(file)]) == 0
    assert f"Order {number} was fetched. What to do next: `orderwire jobs show 1`." in capsys.readouterr().out
    assert jobs(file) == {number: ("waiting", "live")}
    assert cli.main(["fetch", "shop", "999999", "-c", str(file)]) == 1
    assert "shop has no order 999999" in capsys.readouterr().err


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What a command printed."""
    capsys.readouterr()
    assert cli.main([str(one) for one in arguments]) == code, capsys.readouterr().err
    out = capsys.readouterr()
    return out.out if code != 2 else out.err


def span(shop: WooShop) -> tuple[str, str, set[str]]:
    """Part of the shop's orders: since, until, and their numbers."""
    placed = sorted(str(order["date_created_gmt"]) for order in shop.orders.values())
    since, until = placed[0], placed[6]
    wanted = {str(order["number"]) for order in shop.orders.values() if since <= str(order["date_created_gmt"]) < until}
    assert 0 < len(wanted) < len(shop.orders)
    return since, until, wanted


def carry(file: Path) -> None:
    """What the workers of another process do."""
    with open_context(load(file)) as context:
        parties.refresh(context.ledger, context.crms["crm"])
        runner = Runner(context)
        while (claim := context.ledger.jobs.claim("test")) is not None:
            runner.run(claim)


def test_backfill(file: Path, shop: WooShop, capsys: pytest.CaptureFixture[str]) -> None:
    """A flow that is not live yet: its orders are taken in, to be rehearsed."""
    since, until, wanted = span(shop)
    arguments = ["backfill", "-c", file, "--since", since, "--until", until, "--json"]
    [found] = json.loads(said(capsys, *arguments, "--dry-run"))["orders"]["found"]
    assert (found["verdict"], found["count"]) == ("new", len(wanted))
    assert jobs(file) == {}, "a dry run stores nothing"
    done = json.loads(said(capsys, *arguments))["orders"]
    assert (done["state"], done["counts"]["orders"]) == ("done", len(wanted))
    assert jobs(file) == dict.fromkeys(wanted, ("waiting", "backfill"))
    assert json.loads(said(capsys, *arguments))["orders"]["counts"]["orders"] == len(wanted)
    assert jobs(file).keys() == wanted
    assert cli.main([str(one) for one in arguments[:-1]]) == 0
    told = capsys.readouterr()
    assert "orders is not live: its orders are only rehearsed" in told.err
    assert "What to do next: `orderwire runs show 3`" in told.out


def test_backfill_create_and_undo(file: Path, shop: WooShop, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text(encoding="utf-8") + 'owner = "sales"\n', encoding="utf-8")
    since, until, wanted = span(shop)
    asked = ["backfill", "-c", file, "--since", since, "--until", until, "--create"]
    assert "only rehearsed" in said(capsys, *asked, code=2)
    assert cli.main(["flow", "live", "orders", "--yes", "-c", str(file)]) == 0
    assert "orderwire adopt --since" in said(capsys, *asked, "--yes", code=2)
    told = said(capsys, *asked, "--without-adopt", code=2)
    assert f"orders will create in crm: {len(wanted)} create (" in told
    assert "What to do: add --yes" in told
    assert jobs(file) == {}
    done = json.loads(said(capsys, *asked, "--without-adopt", "--yes", "--json"))["orders"]
    carry(file)
    shown = json.loads(said(capsys, "runs", "show", done["id"], "--json", "-c", file))
    settled = sum(one["count"] for one in shown["sums"] if one["state"] == "settled")
    assert settled > 0
    assert sum(one["count"] for one in shown["sums"]) == len(wanted)
    text = said(capsys, "runs", "show", done["id"], "-c", file)
    assert "create" in text
    assert "settled" in text
    table = said(capsys, "runs", "show", done["id"], "--csv", "-", "-c", file)
    assert len(table.splitlines()) == len(wanted) + 1
    assert "backfill" in said(capsys, "runs", "list", "-c", file)
    planned = json.loads(said(capsys, "undo", done["id"], "--dry-run", "--json", "-c", file))
    orders = [one for one in planned["records"] if one["key"].startswith("crm/order/")]
    assert len(orders) == settled
    assert {one["verdict"] for one in orders} == {"taken back"}
    question = said(capsys, "undo", done["id"], "-c", file, code=2)
    assert f"Run {done['id']} created {settled} orders (" in question
    assert "taken back" in said(capsys, "undo", done["id"], "--yes", "-c", file)
    assert {state for state, _ in jobs(file).values()} == {"skipped"}
    assert "There is no run 99" in said(capsys, "undo", 99, "--yes", "-c", file, code=2)
    assert "There is no run 99" in said(capsys, "runs", "show", 99, "-c", file, code=2)


def test_backfill_waits_until_all_is_settled(file: Path, shop: WooShop, capsys: pytest.CaptureFixture[str]) -> None:
    since, until, wanted = span(shop)
    assert cli.main(["flow", "live", "orders", "--yes", "-c", str(file)]) == 0
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            carry(file)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        told = said(capsys, "backfill", "-c", file, "--since", since, "--until", until, "--wait")
    finally:
        stop.set()
        worker.join()
    assert "before start" in told
    assert jobs(file) == dict.fromkeys(wanted, ("skipped", "backfill"))


def test_a_range_that_ends_before_it_begins(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["backfill", "--since", "2026-02-01", "--until", "2026-01-01", "-c", file]
    assert "--until is not after --since" in said(capsys, *asked, code=2)


def test_an_unknown_flow(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["backfill", "--since", "2026-01-01", "--flow", "nonsense", "-c", str(file)]) == 2
    assert "What to do: use one of orders." in capsys.readouterr().err
