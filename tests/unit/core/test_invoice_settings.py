"""Who writes the invoices of a flow: what contradicts itself is refused at start, with its line and what to do."""

from __future__ import annotations

from typing import Literal

import pytest

from core.config import Kind, Reading, parse
from core.settings import ConnectionSettings


class ErpSettings(ConnectionSettings):
    kinds: tuple[Literal["customer", "invoice"], ...] = ("customer", "invoice")


KINDS = {
    "shop": Kind("shop", "store", ConnectionSettings),
    "crm": Kind("crm", "crm", ConnectionSettings),
    "erp": Kind("erp", "erp", ErpSettings),
}
FILE = """\
[[connection]]
name = "shop"
connector = "shop"
[[connection]]
name = "crm"
connector = "crm"
[[connection]]
name = "erp"
connector = "erp"
{kinds}
[[flow]]
name = "orders"
source = "shop"
target = "crm"
{flow}
"""


def read(flow: str, kinds: str = "") -> Reading:
    return parse(FILE.format(flow=flow, kinds=kinds), KINDS)


@pytest.mark.parametrize(
    "flow",
    [
        'invoices = "on_delivered"',
        'invoices = "from_erp"\ninvoices_from = "erp"\ninvoices_wait = 3600\ninvoices_unknown = "skip"',
        'invoices = "on_paid"\ninvoices_from = "erp"',
        'invoices_from = "erp"\ninvoices_poll = 60',
    ],
)
def test_what_makes_sense(flow: str) -> None:
    assert read(flow).problems == []


@pytest.mark.parametrize(
    ("flow", "kinds", "path", "message", "hint"),
    [
        (
            'invoices = "from_erp"',
            "",
            "invoices",
            "needs an ERP that writes the invoices",
            "name it in `invoices_from`",
        ),
        ('invoices_from = "crm"', "", "invoices_from", "must be an ERP, and 'crm' is not", "erp"),
        ('invoices_from = "epr"', "", "invoices_from", "there is no connection named 'epr'", "erp"),
        (
            'invoices_from = "erp"',
            'kinds = ["customer"]',
            "invoices_from",
            "is not asked for invoices",
            'add "invoice"',
        ),
        ("invoices_wait = 5", "", "invoices_wait", "says nothing without an ERP", "leave this out"),
        ('invoices_unknown = "skip"', "", "invoices_unknown", "says nothing without an ERP", "leave this out"),
        ('invoices = "on_shipped"', "", "invoices", "cannot be 'on_shipped'", ""),
    ],
)
def test_what_does_not_is_refused(flow: str, kinds: str, path: str, message: str, hint: str) -> None:
    [problem] = read(flow, kinds).problems
    assert problem.path == f"flow.orders.{path}"
    assert problem.line > 10
    assert message in problem.message
    assert hint in problem.hint
