"""`[[stock]]` and `[[buyer]]`: what is refused, with its line."""

from __future__ import annotations

from datetime import time

import pytest

from core import config
from core.stocksettings import BuyerSettings, within
from pipelines import wiring

BASE = """
[[connection]]
name = "erp"
connector = "feed"
folder = "."
[[connection]]
name = "odoo"
connector = "odoo"
url = "https://odoo.example"
database = "odoo"
username = "u"
api_key = "env:PATH"
kinds = ["customer"]
[[connection]]
name = "mail"
connector = "smtp"
host = "mail.example"
sender = "orderwire@example.com"
[[connection]]
name = "ops"
connector = "webhook"
url = "https://ops.example"
secret = "env:PATH"
"""
STOCK = '[[stock]]\nname = "goods"\nsource = "erp"\n'
BUYER = '[[buyer]]\nname = "anna"\nvia = ["mail"]\nemail = "anna@example.com"\n'


def problems(text: str) -> list[str]:
    return [f"{one.path}: {one.message}" for one in config.parse(BASE + text, wiring.kinds()).problems]


def test_the_usual_is_right() -> None:
    assert problems(f'{STOCK}owner = "anna"\n{BUYER}') == []
    settings = config.parse(BASE + STOCK + BUYER, wiring.kinds()).required()
    assert (settings.stocks[0].source, settings.buyers[0].via) == ("erp", ("mail",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (STOCK.replace("erp", "erq") + BUYER, "stock.goods.source: there is no connection named 'erq'"),
        (STOCK.replace("erp", "mail") + BUYER, "must be an ERP, a CRM or a store, and 'mail' is not"),
        (STOCK.replace("erp", "odoo") + BUYER, "stock.goods.source: 'odoo' is not asked for stock"),
        (STOCK + STOCK.replace("goods", "more") + BUYER, "[[stock]] 'goods' tells the levels of 'erp' already"),
        (f'{STOCK}owner = "ana"\n{BUYER}', "stock.goods.owner: there is no [[buyer]] named 'ana'"),
        (f'{STOCK}via = ["post"]\n{BUYER}', "stock.goods.via: there is no connection named 'post'"),
        (f'{STOCK}via = ["erp"]\n{BUYER}', "stock.goods.via: 'erp'"),
        (f'{STOCK}via = ["ops"]\n{BUYER}', "stock.goods.via: 'ops' carries no letters"),
        (STOCK + BUYER.replace('via = ["mail"]\n', ""), "buyer.anna: no connection carries messages to this buyer"),
        (STOCK + BUYER + BUYER, "the name 'anna' is taken by the buyer"),
        (f"{STOCK}hysteresis = -1\n{BUYER}", "stock.goods.hysteresis"),
        (f"{STOCK}surprise = 1\n{BUYER}", "there is no key `surprise`"),
        (f'{STOCK}{BUYER}zone = "Europe/Roma"\n', "there is no time zone Europe/Roma"),
        (f"{STOCK}{BUYER}at_once = false\n", "never told anything"),
        (f'{STOCK}{BUYER}quiet = ["18:00", "07:00"]\ndigest = "06:30"\n', "lies in the quiet hours"),
        (STOCK + BUYER.replace("anna@example.com", "anna"), "anna is not an e-mail address"),
        (f'[[reps]]\nname = "goods"\nsource = "erp"\n{STOCK}{BUYER}', "stock.goods.name: the name 'goods' is taken"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    found = problems(text)
    assert any(said in one for one in found), found


SHOP = """
[[connection]]
name = "shop"
connector = "woocommerce"
url = "https://shop.example"
consumer_key = "env:PATH"
consumer_secret = "env:PATH"
[[connection]]
name = "crm"
connector = "vtiger"
url = "https://crm.example"
username = "u"
access_key = "env:PATH"
owners = { sales = "20x2" }
[[flow]]
name = "orders"
source = "shop"
target = "crm"
owner = "sales"
"""
ALONE = SHOP.partition("[[flow]]")[0]
SOLD = STOCK + 'via = ["mail"]\npublish = ["shop"]\n'
OTHER = SOLD.replace("goods", "more").replace('"erp"', '"crm"') + 'write_off = "status"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHOP + SOLD, ""),
        (SHOP + OTHER, ""),
        (ALONE + SOLD + "counts_orders = true\n", ""),
        (ALONE + SOLD, "no [[flow]] brings the orders of 'shop': nobody knows what it sold"),
        (SHOP + SOLD.replace('["shop"]', '["shoq"]'), "stock.goods.publish: there is no connection named 'shoq'"),
        (SHOP + SOLD.replace('["shop"]', '["crm"]'), "stock.goods.publish: 'crm' cannot be told how much may be sold"),
        (SHOP + SOLD.replace('["shop"]', '["shop", "shop"]'), "'goods' tells 'shop' what may be sold already"),
        (SHOP + SOLD + OTHER, "stock.more.publish: [[stock]] 'goods' tells 'shop' what may be sold already"),
        (
            SHOP + SOLD.replace('"erp"', '"shop"'),
            "stock.goods.publish: 'shop' is a store: what others sell never leaves",
        ),
        (SHOP + SOLD + STOCK.replace("goods", "b").replace('"erp"', '"shop"'), "'shop' is the source of [[stock]] 'b'"),
        (SHOP + OTHER.replace("status", "never"), "stock.more.publish: goods never leave the stock of 'crm'"),
        (ALONE + OTHER, "no [[flow]] brings the orders of 'shop' to 'crm'"),
        (SHOP + SOLD + "poll = 3600\n", "stock.goods.publish_age"),
        (SHOP + SOLD + "poll = 0\n", "stock.goods.publish_age"),
        (SHOP + SOLD + "poll = 3600\npublish_age = 7200\n", ""),
    ],
)
def test_who_tells_a_store_what_it_may_sell(text: str, said: str) -> None:
    found = problems(text)
    assert any(said in one for one in found) if said else found == [], found


def test_hours_that_go_over_midnight() -> None:
    night, day = (time(18), time(7)), (time(9), time(17))
    hours = [(h, within(time(h), night), within(time(h), day)) for h in (0, 6, 7, 9, 17, 18, 23)]
    assert hours == [
        (0, True, False), (6, True, False), (7, False, False), (9, False, True), (17, False, False), (18, True, False),
        (23, True, False),
    ]  # fmt: skip
    assert BuyerSettings(name="anna", quiet=night, digest=time(7)).digest == time(7)
