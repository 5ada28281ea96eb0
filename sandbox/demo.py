"""The stand-ins of `orderwire demo`, which know each other: one set of secrets, the same customers in ERP, CRM and shop."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from sandbox.crm.app import CrmApp, crm_app
from sandbox.crm.seed import load
from sandbox.erp.app import ErpApp, erp_app
from sandbox.erp.seed import BUYERS
from sandbox.mail.app import MailApp, mail_app
from sandbox.portal.app import portal_app
from sandbox.store.app import store_app

CONFIGURATION: Final = """
[ledger]
url = "sqlite:///{folder}/orderwire.db"
[web]
port = {port}
[[connection]]
name = "form"
connector = "orderform"
webhook_secrets = ["file:{folder}/hook_secret"]
[[connection]]
name = "crm"
connector = "vtiger"
url = "{crm}"
username = "apiuser"
access_key = "file:{folder}/access_key"
owners = {{ sales = "20x2", sara = "19x7", tom = "19x8", R3 = "19x6", R7 = "19x7", R9 = "19x8" }}
currencies = {{ EUR = "21x1" }}
unknown_product = "UNLISTED"
erp_number_field = "siccode"
[[connection]]
name = "erp"
connector = "tryton"
url = "{erp}"
database = "tryton"
username = "orderwire"
password = "file:{folder}/erp_password"
overlap = 10
[[connection]]
name = "mail"
connector = "smtp"
host = "127.0.0.1"
port = {smtp}
security = "none"
sender = "office@office.example"
sender_name = "Office Supplies"
[seller]
name = "Office Supplies GmbH"
address = ["Hauptstrasse 5", "20095 Hamburg", "Germany"]
vat = "DE000000000"
email = "office@office.example"
bank = ["Sandbank", "DE00 0000 0000 0000 0000 00"]
zone = "Europe/Berlin"
[[flow]]
name = "orders"
source = "form"
target = "crm"
owner = "sales"
poll_crm = 2
invoices = "on_order"
[flow.papers]
via = "mail"
order = true
[flow.promise]
zone = "Europe/Berlin"
via = "mail"
tell = ["sales@office.example"]
[[stock]]
name = "warehouse"
source = "crm"
poll = 2
owner = "lena"
via = ["mail"]
[[buyer]]
name = "lena"
called = "Lena"
email = "lena@office.example"
every = 0
[[reps]]
name = "reps"
source = "erp"
target = "crm"
poll = 2
owner = "sales"
[[portal]]
name = "shop"
source = "erp"
secrets = ["file:{folder}/portal_secret"]
origins = ["{portal}"]
team = {{ name = "Office Supplies, customer service", phone = "+49 30 5550100", email = "service@office.example" }}
"""
"""The demo's orderwire.toml, to be filled in with addresses and ports. The CRM keeps the stock: it takes the goods of an invoice
off by itself."""


@dataclass(frozen=True, slots=True)
class Words:
    """Made up anew for each demo."""

    hook: str
    """Base64, as Standard Webhooks wants it."""
    access_key: str
    erp_password: str
    portal: str


def secrets_into(folder: Path) -> Words:
    """Secrets, each in a file of its own, as a configuration refers to them."""
    words = Words(
        base64.b64encode(secrets.token_bytes(24)).decode(),
        secrets.token_hex(8),
        secrets.token_hex(12),
        secrets.token_hex(24),
    )
    files = {
        "hook_secret": f"whsec_{words.hook}",
        "access_key": words.access_key,
        "erp_password": words.erp_password,
        "portal_secret": words.portal,
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return words


def crm(words: Words) -> CrmApp:
    """With the catalogue, an article for whatever is not listed, and the customers of the ERP."""
    app = crm_app(access_key=words.access_key)
    accounts = [
        {
            "accountname": buyer.name,
            "email1": buyer.email,
            "phone": buyer.phone,
            "siccode": buyer.number,
            "bill_city": buyer.city,
        }
        for buyer in BUYERS
    ]
    unlisted = {"productname": "Unlisted article", "productcode": "UNLISTED"}
    load(app.service, {"products": [unlisted], "accounts": accounts})
    return app


def store(words: Words, orderwire: str, crm_at: str) -> Starlette:
    """Its orders go to Orderwire, signed."""
    return store_app(hook=f"{orderwire}/hooks/form", secret=words.hook, crm_url=crm_at)


def erp(words: Words) -> ErpApp:
    """With reps and customers."""
    return erp_app(password=words.erp_password)


def portal(words: Words, orderwire: str) -> Starlette:
    """It shows the customers of the ERP their card."""
    return portal_app(orderwire=orderwire, secret=words.portal)


def mail() -> MailApp:
    """Where the demo's letters arrive."""
    return mail_app()
