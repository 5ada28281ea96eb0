"""Configurations under which goods would leave the stock twice, or never, are refused where they are written."""

from __future__ import annotations

import pytest

from core.config import Reading, parse
from pipelines import wiring

CONNECTIONS = """
[[connection]]
name = "shop"
connector = "woocommerce"
url = "https://shop.example"
consumer_key = "env:A"
consumer_secret = "env:B"

[[connection]]
name = "form"
connector = "orderform"
webhook_secrets = ["env:C"]

[[connection]]
name = "erp"
connector = "tryton"
url = "http://erp.example"
database = "d"
username = "u"
password = "env:D"

[[connection]]
name = "crm"
connector = "vtiger"
url = "https://crm.example"
username = "u"
access_key = "env:E"

[[connection]]
name = "crm2"
connector = "vtiger"
url = "https://crm2.example"
username = "u"
access_key = "env:F"
"""


def _flow(name: str, source: str, target: str, invoices: str = "") -> str:
    return f'[[flow]]\nname = "{name}"\nsource = "{source}"\ntarget = "{target}"\n' + (
        f'invoices = "{invoices}"\n' if invoices else ""
    )


def _stock(source: str, write_off: str | None = None) -> str:
    name = f"of-{source}"
    return f'[[stock]]\nname = "{name}"\nsource = "{source}"\n' + (
        f'write_off = "{write_off}"\n' if write_off is not None else ""
    )


PLAIN = _flow("plain", "shop", "crm")
BILLS = _flow("bills", "shop", "crm", "on_order")
PAID = _flow("paid", "form", "crm", "on_paid")
OTHER = _flow("other", "shop", "crm2")


def _read(*parts: str) -> Reading:
    return parse("\n".join((CONNECTIONS, *parts)), wiring.kinds(), file="orderwire.toml", with_secrets=False)


@pytest.mark.parametrize(
    "parts",
    [
        (PLAIN, _stock("crm")),
        (PLAIN, _stock("crm", "status")),
        (PLAIN, _stock("crm", "never")),
        (BILLS, _stock("crm")),
        (BILLS, _stock("crm", "")),
        (BILLS, _stock("crm", "invoice")),
        (PLAIN, PAID, _stock("crm")),
        (PLAIN, _stock("erp")),
        (BILLS, _stock("erp")),
        (BILLS, _stock("erp"), _stock("shop")),
        (PLAIN, _stock("erp"), _stock("crm", "never")),
        (PLAIN, OTHER, _stock("crm"), _stock("crm2", "never")),
        (_flow("here", "form", "crm"), _stock("crm"), _stock("shop")),
    ],
)
def test_one_master_is_fine(parts: tuple[str, ...]) -> None:
    assert [str(problem) for problem in _read(*parts).problems] == []


@pytest.mark.parametrize(
    ("parts", "where", "what", "advice"),
    [
        ((BILLS, _stock("crm", "status")), "stock.of-crm.write_off", "twice", 'write_off = "invoice"'),
        ((PLAIN, PAID, _stock("crm", "status")), "stock.of-crm.write_off", "flow 'paid' makes invoices", "invoices"),
        ((BILLS, _stock("crm", "never")), "stock.of-crm.write_off", "all the same", 'write_off = "invoice"'),
        ((PLAIN, _stock("crm", "invoice")), "stock.of-crm.write_off", "would never leave", "leave `write_off` out"),
        ((PLAIN, _stock("erp", "status")), "stock.of-erp.write_off", "leave it twice", "leave `write_off` out"),
        ((PLAIN, _stock("shop", "invoice")), "stock.of-shop.write_off", "leave it twice", "leave `write_off` out"),
        ((PLAIN, _stock("erp"), _stock("crm")), "stock.of-crm.source", "'erp' and 'crm' would both", '"never"'),
        ((BILLS, _stock("crm"), _stock("erp")), "stock.of-crm.source", "'erp' and 'crm' would both", "remove this"),
        ((PLAIN, _stock("crm", "status"), _stock("shop")), "stock.of-crm.write_off", "'shop' and 'crm'", '"never"'),
        ((PLAIN, OTHER, _stock("crm"), _stock("crm2")), "stock.of-crm2.source", "'crm' and 'crm2'", '"never"'),
    ],
)
def test_two_masters_and_none_are_refused(parts: tuple[str, ...], where: str, what: str, advice: str) -> None:
    (problem,) = _read(*parts).problems
    assert (problem.path, problem.line > 0) == (where, True)
    assert what in problem.message
    assert advice in problem.hint
