"""Fills a fresh Tryton database: run by the Python of Tryton's own virtual environment, never imported.

    python tryton_prepare.py <database> <trytond.conf> <file.sqlite>

Rights are given in-process as user 0, for after its initialisation not even `admin` may do anything. At the end every row is
made a month old, so that what a test writes is all that is new.
"""

import datetime as dt
import sqlite3
import sys
from decimal import Decimal
from typing import Any

from proteus import Model, config
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, create_tax, get_accounts
from trytond.modules.account_invoice.tests.tools import create_payment_term, set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company
from trytond.pool import Pool
from trytond.transaction import Transaction

CUSTOMERS = 24
READER_GROUPS = ("Stock", "Accounting", "Sales")


def give_rights(database: str) -> None:
    """All groups to admin, who plays the people of the company."""
    with Transaction().start(database, 0, context={"_check_access": False}):
        user, group = Pool().get("res.user"), Pool().get("res.group")
        user.write(user.search([("login", "=", "admin")]), {"groups": [("add", [one.id for one in group.search([])])]})


def make_company() -> None:
    """A company with accounts, a tax and an open year."""
    create_company(currency="EUR")
    create_chart()
    set_fiscalyear_invoice_sequences(create_fiscalyear()).click("create_period")
    create_tax(Decimal(".19")).save()
    create_payment_term().save()


def make_goods() -> None:
    """Two articles, and a service without a code."""
    accounts = get_accounts()
    category = Model.get("product.category")(name="Goods", accounting=True)
    category.account_expense, category.account_revenue = accounts["expense"], accounts["revenue"]
    category.customer_taxes.extend(Model.get("account.tax").find([]))
    category.save()
    unit = Model.get("product.uom").find([("name", "=", "Unit")])[0]
    for code, name, kind in (("SKU-1", "Widget", "goods"), ("SKU-2", "Gadget", "goods"), (None, "Advice", "service")):
        template = Model.get("product.template")(name=name, default_uom=unit, type=kind, salable=True)
        template.list_price, template.account_category = Decimal("59.90"), category
        template.products[0].suffix_code = code
        template.save()


def make_people() -> None:
    """Three reps, and customers who have two of them one after the other."""
    party, agent = Model.get("party.party"), Model.get("commission.agent")
    agents = [agent(party=_person(party, name)) for name in ("Anna Rep", "Ben Rep", "Carl Rep")]
    for one in agents:
        one.save()
    today = {"agent": agents[1].id, "start_date": dt.date(2026, 7, 1)}
    before = {"agent": agents[0].id, "start_date": dt.date(2026, 1, 1), "end_date": dt.date(2026, 6, 30)}
    term = Model.get("account.invoice.payment_term").find([])[0].id
    made = [
        {
            "name": f"Customer {number}",
            "customer_payment_term": term,
            "contact_mechanisms": [("create", [{"type": "email", "value": f"c{number}@customer.example"}])],
            "addresses": [
                ("create", [{"street": f"Street {number}\nBack yard", "postal_code": "10115", "city": "Berlin"}])
            ],
            "agents": [("create", [before, today])],
        }
        for number in range(1, CUSTOMERS + 1)
    ]
    party._proxy.create(made, config.get_config().context)


def _person(party: Any, name: str) -> Any:
    one = party(name=name)
    one.contact_mechanisms.new(type="email", value=f"{name.partition(' ')[0].lower()}@company.example")
    one.contact_mechanisms.new(type="phone", value="+49 30 123456")
    one.save()
    return one


def make_users(password: str) -> None:
    """The user that Orderwire reads as, with the groups that the page about Tryton names, and one as new users are."""
    user, group = Model.get("res.user"), Model.get("res.group")
    reader = user(name="Orderwire", login="orderwire", password=password)
    reader.groups.extend(group.find([("name", "in", READER_GROUPS)]))
    reader.save()
    user(name="New", login="nogroups", password=password).save()


def make_old(file: str) -> None:
    """Every time in the database a month back."""
    with sqlite3.connect(file) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = {row[1] for row in database.execute(f'PRAGMA table_info("{table}")')}
            for column in columns & {"create_date", "write_date"}:
                database.execute(
                    f"""UPDATE "{table}" SET "{column}" = strftime('%Y-%m-%d %H:%M:%f000', "{column}", '-30 days')
                        WHERE "{column}" IS NOT NULL"""  # noqa: S608 - names come from the database itself
                )


def main() -> None:
    database, configuration, file, password = sys.argv[1:]
    used = config.set_trytond(database, config_file=configuration)
    give_rights(database)
    used._context = Model.get("res.user").get_preferences(True, {})
    make_company()
    used._context = Model.get("res.user").get_preferences(True, {})
    assert get_company()
    make_goods()
    make_people()
    make_users(password)
    make_old(file)


if __name__ == "__main__":
    main()
