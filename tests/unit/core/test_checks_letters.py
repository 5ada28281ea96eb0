"""Configurations by which a letter or a paper would reach nobody are refused, with the line and what to do."""

from __future__ import annotations

import pytest

from core import config
from pipelines import wiring

GOOD = """
[seller]
name = "Laden"

[[connection]]
name = "form"
connector = "orderform"
webhook_secrets = ["env:X"]

[[connection]]
name = "crm"
connector = "vtiger"
url = "https://crm.example"
username = "u"
access_key = "env:X"
owners = { sales = "20x2" }
currencies = { EUR = "21x1" }
unknown_product = "U"

[[connection]]
name = "mail"
connector = "smtp"
host = "mail.example"
sender = "a@laden.example"
recipients = ["b@laden.example"]

[[connection]]
name = "talk"
connector = "apprise"
urls = ["env:X"]

[[connection]]
name = "ops"
connector = "webhook"
url = "https://ops.example"
secret = "env:X"

[alerts]
to = ["mail", "ops", "talk"]

[[flow]]
name = "orders"
source = "form"
target = "crm"
invoices = "on_order"

[flow.papers]
via = "mail"
order = true
invoice = true
"""


def problems(text: str) -> list[str]:
    reading = config.parse(text, wiring.kinds(), with_secrets=False)
    return [f"{problem.path}: {problem.message}" for problem in reading.problems]


def test_a_good_one() -> None:
    assert problems(GOOD) == []
    settings = config.parse(GOOD, wiring.kinds(), with_secrets=False).required()
    assert (settings.seller.name, settings.flows[0].papers.via) == ("Laden", "mail")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('via = "mail"', 'via = "post"', "flow.orders.papers.via: there is no connection named 'post'"),
        ('via = "mail"', 'via = "talk"', "flow.orders.papers.via: papers go by mail, and 'talk' sends none"),
        ('via = "mail"', 'via = "crm"', "flow.orders.papers.via: papers go by mail, and 'crm' sends none"),
        ('[seller]\nname = "Laden"', "", "flow.orders.papers.via: papers name who sells"),
        (
            '"on_order"',
            '"never"',
            "flow.orders.papers.invoice: there are no invoices of ours to send: the flow has invoices = 'never'",
        ),
        ("order = true\ninvoice = true", "invoice = false", "flow.orders.papers.via: nothing would ever be sent"),
        ('recipients = ["b@laden.example"]', "", "alerts.to: 'mail' has no recipients: nobody would be told"),
        (
            'recipients = ["b@laden.example"]',
            'recipients = ["A@laden.example"]',
            "a@laden.example is the sender: mail to ourselves could go in circles",
        ),
        ('host = "mail.example"', 'host = "https://mail.example"', "a server's name alone"),
        ('host = "mail.example"', 'host = " mail.example"', "a server's name alone"),
        (
            "[alerts]",
            '[[buyer]]\nname = "anna"\nemail = "a@x.example"\nvia = ["ops"]\n[alerts]',
            "buyer.anna.via: 'ops' carries no letters",
        ),
        ("[alerts]", '[[buyer]]\nname = "anna"\nemail = "a@x.example"\nvia = ["talk"]\n[alerts]', ""),
        ("order = true\ninvoice = true", "language = 'xx'", "flow.orders.papers.language: `language` cannot be"),
    ],
)
def test_what_would_reach_nobody_is_refused(old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new))
    assert any(said in one for one in found) if said else found == []
