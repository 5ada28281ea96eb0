"""`fetch` and `backfill` against a shop that can be asked: the stand-in's WooCommerce face over recorded orders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from ledger import Ledger
from sandbox.crm.app import crm_app
from sandbox.serve import running
from sandbox.store.app import store_app
from sandbox.store.woo import WooShop

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def shop() -> WooShop:
    shop = WooShop()
    for case in json.loads((FIXTURES / "woocommerce" / "orders-corpus.json").read_text(encoding="utf-8"))[:12]:
        shop.put(case["order"], case["refunds"])
    return shop


@pytest.fixture(scope="module")
def addresses(shop: WooShop) -> Iterator[tuple[str, str]]:
    with running(store_app(shop=shop)) as store, running(crm_app(access_key="k")) as crm:
        yield store, crm


@pytest.fixture
def file(tmp_path: Path, addresses: tuple[str, str], shop: WooShop, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_CONSUMER_KEY", shop.consumer_key)
    monkeypatch.setenv("SHOP_CONSUMER_SECRET", shop.consumer_secret)
    monkeypatch.setenv("CRM_ACCESS_KEY", "k")
    path = tmp_path / "orderwire.toml"
    settings = [f"url={addresses[1]}", "username=apiuser", "access_key=env:CRM_ACCESS_KEY", 'owners={ sales = "20x2" }']
    crm = [part for one in settings for part in ("--set", one)]
    assert cli.main(["init", "-c", str(path), "--connector", "vtiger", "--name", "crm", "--no-test", *crm]) == 0
    settings = [f"url={addresses[0]}", "consumer_key=env:SHOP_CONSUMER_KEY", "consumer_secret=env:SHOP_CONSUMER_SECRET"]
    woo = [part for one in settings for part in ("--set", one)]
    assert cli.main(["init", "-c", str(path), "--connector", "woocommerce", "--name", "shop", *woo]) == 0
    text = path.read_text(encoding="utf-8")
    path.write_text(f'[ledger]\nurl = "sqlite:///{tmp_path}/orderwire.db"\n\n{text}', encoding="utf-8")
    assert cli.main(["db", "upgrade", "-c", str(path)]) == 0
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


def test_backfill(file: Path, shop: WooShop, capsys: pytest.CaptureFixture[str]) -> None:
    placed = sorted(str(order["date_created_gmt"]) for order in shop.orders.values())
    since, until = placed[0], placed[6]
    wanted = {str(order["number"]) for order in shop.orders.values() if since <= str(order["date_created_gmt"]) < until}
    assert 0 < len(wanted) < len(shop.orders)
    arguments = ["backfill", "-c", str(file), "--since", since, "--until", until, "--json"]
    capsys.readouterr()
    assert cli.main([*arguments, "--dry-run"]) == 0
    counted = {"orders": {"seen": len(wanted), "new": len(wanted), "dry_run": True}}
    assert json.loads(capsys.readouterr().out) == counted
    assert jobs(file) == {}, "a dry run stores nothing"
    assert cli.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["orders"]["new"] == len(wanted)
    assert jobs(file) == dict.fromkeys(wanted, ("waiting", "backfill"))
    assert cli.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["orders"]["seen"] == len(wanted)
    assert jobs(file).keys() == wanted


def test_an_unknown_flow(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["backfill", "--since", "2026-01-01", "--flow", "nonsense", "-c", str(file)]) == 2
    assert "What to do: use one of orders." in capsys.readouterr().err
