"""`adopt`, `link customers` and `review` as people use them: on the command line and in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import cli
from console import sheets
from core.cells import table
from ledger import Ledger
from ledger.reviews import Candidate, Review
from pipelines import answers
from pipelines.sheets import Line
from sandbox.crm.app import crm_app
from sandbox.serve import running
from tests.orders import order, person
from tests.shops import shop
from tests.world import ACCESS_KEY, prepare

TEXT = """\
[ledger]
url = "sqlite:///{folder}/orderwire.db"
[[connection]]
name = "shop"
connector = "woocommerce"
url = "{shop}"
verify_tls = false
consumer_key = "env:OW_REVIEW_SECRET"
consumer_secret = "env:OW_REVIEW_SECRET"
[[connection]]
name = "crm"
connector = "vtiger"
url = "{crm}"
username = "apiuser"
verify_tls = false
access_key = "env:OW_REVIEW_SECRET"
owners = {{ sales = "20x2" }}
currencies = {{ EUR = "21x1" }}
[[flow]]
name = "orders"
source = "shop"
target = "crm"
owner = "sales"
region = "DE"
"""
NAMES = {1017: "Old", 1018: "Older", 1019: '=HYPERLINK("http://evil.example")'}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Three orders whose numbers were mistyped, three buyers who are in the CRM."""
    monkeypatch.setenv("OW_REVIEW_SECRET", ACCESS_KEY)
    with shop() as (face, store), running(crm_app(access_key=ACCESS_KEY, seed=False)) as crm:
        products = [{"handle": "p", "productname": "Goods", "productcode": "GOODS", "unit_price": "1"}]
        accounts, typed = [], []
        for id, name in NAMES.items():
            stamp = f"2026-03-0{id - 1016}"
            made = order(id, billing={**person("Old"), "company": name, "email": f"o{id}@people.example"},
                         date_created_gmt=f"{stamp}T09:00:00", lines=[("OF-100", id, "1.00")])  # fmt: skip
            face.put(made)
            accounts.append({"handle": f"a{id}", "accountname": name, "email1": f"o{id}@people.example"})
            line = {"productid": "@p", "quantity": "1", "listprice": made["total"]}
            typed.append({
                "handle": f"o{id}", "subject": name, "vtiger_purchaseorder": f"{id}1", "account_id": f"@a{id}",
                "createdtime": f"{stamp} 11:00:00", "sostatus": "Approved", "invoicestatus": "AutoCreated",
                "currency_id": "21x1", "hdnTaxType": "individual", "bill_street": "-", "ship_street": "-",
                "productid": "@p", "LineItems": [line],
            })  # fmt: skip
        body = {"products": products, "accounts": accounts, "salesorders": typed}
        httpx.post(f"{crm}/sandbox/seed", json=body, trust_env=False).raise_for_status()
        path = tmp_path / "orderwire.toml"
        path.write_text(TEXT.format(folder=tmp_path, shop=store, crm=crm), encoding="utf-8")
        prepare(f"sqlite:///{tmp_path}/orderwire.db")
        yield str(path)


Run = Callable[..., str]


@pytest.fixture
def run(file: str, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        ended = cli.main([*arguments, "--config", file])
        said = capsys.readouterr()
        assert ended == code, said.err + said.out
        return said.out + said.err

    return run


@pytest.fixture
def adopted(run: Run) -> Run:
    said = run("adopt", "--since", "2026-01-01")
    assert "3  " in said
    assert "on the review list" in said
    assert "calls to the CRM" in said
    return run


def links(file: str) -> dict[str, str]:
    ledger = Ledger.open(f"sqlite:///{Path(file).parent}/orderwire.db")
    try:
        found = ledger.links.find("crm", "order", [f"shop/order/{id}" for id in NAMES])
        return {key: link.remote_id for key, link in found.items()}
    finally:
        ledger.close()


def questions(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("review", "list", "--json"))
    return found


def test_orders_are_adopted_listed_and_decided(adopted: Run, file: str) -> None:
    one, two, _ = questions(adopted)
    assert one["label"].startswith("order 1017, ")
    (candidate,) = one["candidates"]
    assert str(one["id"]) in adopted("review", "list")
    assert candidate["number"] in adopted("review", "show", str(one["id"]))
    assert "takes it back" in adopted("review", "decide", str(one["id"]), "link", candidate["number"], "--note", "seen")
    assert "none of them" in adopted("review", "decide", str(two["id"]), "new")
    assert links(file) == {"shop/order/1017": candidate["id"]}
    assert "seen" in adopted("review", "show", str(one["id"]))
    assert len(questions(adopted)) == 1
    assert "1017" in adopted("review", "list", "--decided")
    adopted("review", "undo", str(one["id"]))
    assert links(file) == {}
    assert len(questions(adopted)) == 2


def test_what_is_no_answer_is_refused(adopted: Run) -> None:
    id = str(questions(adopted)[0]["id"])
    assert "no candidate" in adopted("review", "decide", id, "link", "SO999", code=1)
    assert "no answer" in adopted("review", "decide", id, "link", code=2)
    assert "no answer" in adopted("review", "decide", id, "new", "SO1", code=2)
    assert "no answer" in adopted("review", "decide", id, "perhaps", code=2)
    assert "no question 999" in adopted("review", "decide", "999", "new", code=1)
    assert "What to do" in adopted("review", "undo", id, code=1)


def test_adopt_for_scripts(run: Run) -> None:
    said = json.loads(run("adopt", "orders", "--since", "2026-01-01", "--json"))
    assert said["state"] == "done"
    (pile,) = said["found"]
    assert (pile["verdict"], pile["count"], pile["currency"]) == ("doubtful", 3, "EUR")
    assert 0 < said["counts"]["queries"] < 15


def test_customers_are_linked(run: Run, tmp_path: Path) -> None:
    erp = tmp_path / "erp.csv"
    erp.write_text("nr;name;e-mail\nK-1;Old;o1017@people.example\n", encoding="cp1252")
    said = run("link", "customers", "--since", "2026-01-01", "--erp-csv", str(erp), "--column", "number=nr")
    assert "linked" in said
    found = json.loads(run("link", "customers", "--since", "2026-01-01", "--json"))["found"]
    assert sum(pile["count"] for pile in found) == 3
    assert run("adopt", "--since", "2026-03-02", "--until", "2026-03-01", code=2)
    assert "no flow" in run("adopt", "nosuch", "--since", "2026-03-02", code=2)


def test_the_page_shows_everything_and_runs_nothing(adopted: Run, tmp_path: Path) -> None:
    page = tmp_path / "list.html"
    adopted("review", "export", str(page))
    text = page.read_text(encoding="utf-8")
    assert "order 1017" in text
    assert "review decide" in text
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert "=HYPERLINK(&#34;" in text
    assert "neither" in adopted("review", "export", str(tmp_path / "list.doc"), code=2)


# -- in a spreadsheet ------------------------------------------------------------------------------------------------


def export(run: Run, path: Path) -> list[dict[str, str]]:
    run("review", "export", str(path))
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def saved(rows: list[dict[str, str]], *, delimiter: str = ",", encoding: str = "utf-8", ends: str = "\n") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator=ends)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(encoding)


@pytest.mark.parametrize(
    "way",
    [
        {},
        {"delimiter": ";", "encoding": "utf-8-sig", "ends": "\r\n"},
        {"delimiter": "\t", "encoding": "utf-16", "ends": "\r\n"},
        {"delimiter": ";", "encoding": "cp1252", "ends": "\r\n"},
    ],
)
def test_a_table_comes_back_as_spreadsheets_save_it(
    adopted: Run, file: str, tmp_path: Path, way: dict[str, str]
) -> None:
    path = tmp_path / "list.csv"
    rows = export(adopted, path)
    rows[0]["decision"], rows[0]["note"] = "link", "geprüft"
    rows[1]["decision"] = " NEW "
    path.write_bytes(saved(rows, **way))
    assert "2 could be decided" in adopted("review", "import", str(path), "--dry-run")
    assert links(file) == {}
    assert "2 decided, 1 left open, 0 lines wrong" in adopted("review", "import", str(path))
    assert links(file) == {"shop/order/1017": rows[0]["candidate"]}
    assert "geprüft" in adopted("review", "show", rows[0]["review"])
    assert "2 decided, 1 left open" in adopted("review", "import", str(path)), "the same again changes nothing"


def test_wrong_lines_are_listed_and_the_good_ones_done(adopted: Run, file: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = export(adopted, path)
    rows[0]["decision"] = "perhaps"
    rows[1]["candidate"], rows[1]["decision"] = "99x1", "link"
    rows[2]["decision"] = "link"
    rows.append({**rows[2], "review": "4711"})
    rows.append({**rows[2], "review": "one"})
    path.write_bytes(saved(rows))
    said = adopted("review", "import", str(path), code=1)
    assert "Line 2: 'perhaps' is neither link nor new" in said
    assert "Line 3: 99x1 is no candidate" in said
    assert "Line 5: There is no question 4711" in said
    assert "Line 6: one is not the number" in said
    assert "1 decided" in said
    assert links(file) == {"shop/order/1019": rows[2]["candidate"]}
    found = json.loads(adopted("review", "import", str(path), "--json", code=1))
    assert [bad["line"] for bad in found["bad"]] == [2, 3, 5, 6]


def test_nothing_that_somebody_typed_becomes_a_formula(adopted: Run, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = export(adopted, path)
    cells = [cell for row in rows for cell in row.values()]
    assert any("HYPERLINK" in cell for cell in cells)
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} and cell]


@pytest.mark.parametrize("cell", ["=1+1", "+49 30", "-5", "@x", "\tx", "'=x", "plain", "", 'a;b,c"d\ne'])
def test_a_cell_comes_back_as_it_went_out(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "cells.csv"
    text = table(("a", "b"), [(cell, "z")])
    path.write_text(text, encoding="utf-8", newline="")
    (line,) = sheets.read(path)
    assert line.get("a") == cell.strip() if not cell.startswith("\t") else line.get("a").strip() == "x"
    assert line.number == 2


def test_one_order_there_for_two_of_the_store_is_refused_before_anything_is_done() -> None:
    class Reviews:
        def get(self, id: int) -> Review:
            return Review(id, "crm", "order", f"shop/order/{id}", "an order", (Candidate("12x5", "SO5"),))

    class Links:
        def get(self, *_: Any) -> None:
            return None

        def of_remote(self, *_: Any) -> dict[str, Any]:
            return {}

    class Small:
        reviews, links = Reviews(), Links()

    lines = [Line(n, {"review": str(n), "candidate": name, "decision": "x"}) for n, name in ((1, "12x5"), (2, "SO5"))]
    found = answers.read(lines, Small())  # type: ignore[arg-type]
    assert found.good == []
    assert [line for line, _ in found.bad] == [1, 2]
    several = [Line(n, {"review": "1", "candidate": c, "decision": "link"}) for n, c in ((1, "12x5"), (2, "12x6"))]
    assert [reason for _, reason in answers.read(several, Small()).bad] == ["question 1 has more than one answer"] * 2  # type: ignore[arg-type]
