"""vtiger's traps as switches, and the window through which oracles look."""

from __future__ import annotations

import json

from sandbox.crm import Switches, crm_app
from tests.unit.sandbox.conftest import Wire


def _account(wire: Wire, name: str = "A") -> str:
    return str(wire.create("Accounts", accountname=name, assigned_user_id="19x1")["result"]["id"])


def test_account_names_are_unique_until_switched_off(wire: Wire) -> None:
    _account(wire, "Müller")
    refused = wire.create("Accounts", accountname="MULLER", assigned_user_id="19x1")
    assert refused["error"] == {"code": 0, "message": "Duplicate(s) detected!"}
    assert wire.http.post("/sandbox/uniqueness", json={"account_names": False}).json() == {"account_names": False}
    assert wire.create("Accounts", accountname="MULLER", assigned_user_id="19x1")["success"]


def test_a_record_is_refused_when_all_unique_fields_are_equal(wire: Wire) -> None:
    def account(name: str, id: str) -> bool:
        made = wire.create("Accounts", accountname=name, cf_external_id=id, assigned_user_id="19x1")
        assert made["success"] or made["error"]["code"] == 0
        return bool(made["success"])

    def unique() -> set[str]:
        fields = wire.get("describe", elementType="Accounts")["result"]["fields"]
        return {field["name"] for field in fields if field.get("isunique")}

    assert unique() == {"accountname"}
    wire.http.post("/sandbox/switches", json={"unique_external_id": True}).raise_for_status()
    assert unique() == {"accountname", "cf_external_id"}
    assert account("A", "W-1")
    assert account("A", "W-2")
    assert account("B", "W-1")
    assert not account("a", "w-1")
    wire.http.post("/sandbox/uniqueness", json={"account_names": False}).raise_for_status()
    assert unique() == {"cf_external_id"}
    assert not account("C", "W-2")
    assert account("C", "")
    assert account("D", ""), "empty ones are not compared"


def test_a_revised_product_loses_its_taxes_and_then_they_do_not_count(wire: Wire) -> None:
    account, product = _account(wire), wire.product("OF-100")
    line = {"productid": product, "quantity": "1", "listprice": "100", "tax1": "19"}
    assert wire.order(account, line)["result"]["hdnGrandTotal"] == 119
    wire.post("revise", element=json.dumps({"id": product, "qtyinstock": "5"}))
    assert wire.order(account, line)["result"]["hdnGrandTotal"] == 100
    wire.http.post("/sandbox/switches", json={"revise_erases_taxes": False}).raise_for_status()
    wire.post("revise", element=json.dumps({"id": product, "tax1": "19"}))
    wire.post("revise", element=json.dumps({"id": product, "qtyinstock": "6"}))
    assert wire.order(account, line)["result"]["hdnGrandTotal"] == 119


def test_prices_are_rounded_to_the_users_decimals(wire: Wire) -> None:
    wire.http.post("/sandbox/switches", json={"currency_decimals": ""}).raise_for_status()
    made = wire.create("Products", productname="P", unit_price="249.90", assigned_user_id="19x1")["result"]
    assert made["unit_price"] == "250.00000000"
    assert wire.get("retrieve", id="19x1")["result"]["no_of_currency_decimals"] == ""


def test_an_invoice_for_a_missing_order_leaves_a_shell_that_took_stock(wire: Wire) -> None:
    account, product = _account(wire), wire.product("OF-100")
    line = {"productid": product, "quantity": "200", "listprice": "1"}
    wire_order = {"subject": "shell", "account_id": account, "salesorder_id": "6x999999", "productid": product}
    element = {**wire_order, "assigned_user_id": "19x1", "bill_street": "x", "ship_street": "x", "LineItems": [line]}
    answer = wire.raw_post("create", elementType="Invoice", element=json.dumps(element))
    assert (answer.status_code, answer.content) == (500, b"")
    assert wire.find("Products", "id", product, "qtyinstock")[0]["qtyinstock"] == "1000.000"
    assert wire.query("SELECT subject FROM Invoice;") == [
        {"subject": "", "id": wire.query("SELECT id FROM Invoice;")[0]["id"]}
    ]


def test_invoices_move_stock_and_give_it_back(wire: Wire) -> None:
    account, product = _account(wire), wire.product("OF-100")

    def stock() -> str:
        return wire.find("Products", "id", product, "qtyinstock")[0]["qtyinstock"]

    line = {"productid": product, "quantity": "3", "listprice": "1"}
    wire.order(account, line)
    assert stock() == "1200.000"
    invoice = wire.order(account, line, module="Invoice")["result"]["id"]
    assert stock() == "1197.000"
    for status, left in (("Paid", "1197.000"), ("Cancel", "1200.000"), ("Created", "1197.000")):
        wire.post("revise", element=json.dumps({"id": invoice, "invoicestatus": status}))
        assert stock() == left
    wire.post("revise", element=json.dumps({"id": invoice, "LineItems": [{**line, "quantity": "10"}]}))
    assert stock() == "1190.000"
    wire.post("delete", id=invoice)
    assert stock() == "1200.000"


def test_convertlead_breaks_on_php_8_and_works_on_7(wire: Wire) -> None:
    lead = wire.create("Leads", lastname="L", company="C", assigned_user_id="19x1")["result"]["id"]
    element = json.dumps(
        {"leadId": lead, "entities": {name: {"create": True, "name": name} for name in ("Accounts", "Contacts")}}
    )
    answer = wire.raw_post("convertlead", element=element)
    assert (answer.status_code, answer.content) == (500, b"")
    wire.http.post("/sandbox/switches", json={"php": 7}).raise_for_status()
    made = wire.post("convertlead", element=element)["result"]
    assert set(made) == {"Accounts", "Contacts"}
    assert wire.query("SELECT id FROM Leads;") == []
    assert wire.get("retrieve", id=lead)["success"]
    assert wire.http.get("/sandbox/state").json()["converted"] == [lead]


def test_an_install_without_the_custom_field_drops_it(wire: Wire) -> None:
    wire.http.post("/sandbox/reset", json={"custom_field": False}).raise_for_status()
    wire.session = wire.login()
    made = wire.create("Contacts", lastname="x", assigned_user_id="19x1", cf_external_id="e1")["result"]
    assert "cf_external_id" not in made
    names = [field["name"] for field in wire.get("describe", elementType="Contacts")["result"]["fields"]]
    assert "cf_external_id" not in names
    assert (
        wire.get("query", query="SELECT id FROM Contacts WHERE cf_external_id='e1';")["error"]["code"]
        == "ACCESS_DENIED"
    )


def test_answers_stop_at_a_hundred_rows_and_pages_join(wire: Wire) -> None:
    contacts = [{"lastname": f"n{n:03}"} for n in range(230)]
    wire.http.post("/sandbox/seed", json={"contacts": contacts}).raise_for_status()
    assert len(wire.query("SELECT id FROM Contacts LIMIT 0,500;")) == 100
    seen: list[str] = []
    page = "SELECT id,lastname FROM Contacts ORDER BY modifiedtime, id LIMIT {},100;"
    while rows := wire.query(page.format(len(seen))):
        seen += [row["lastname"] for row in rows]
    assert seen == [contact["lastname"] for contact in contacts]


def test_look_ups_by_value_see_every_change(wire: Wire) -> None:
    def found(value: str) -> int:
        return len(wire.find("Contacts", "cf_external_id", value))

    assert found("a") == 0
    id = wire.create("Contacts", lastname="x", assigned_user_id="19x1", cf_external_id="a")["result"]["id"]
    assert (found("a"), found("A "), found("b")) == (1, 1, 0)
    wire.post("revise", element=json.dumps({"id": id, "cf_external_id": "b"}))
    assert (found("a"), found("b")) == (0, 1)
    wire.post("delete", id=id)
    assert found("b") == 0


def test_the_windows_for_oracles(wire: Wire) -> None:
    wire.http.delete("/sandbox/calls")
    account = _account(wire)
    wire.order(account, {"productid": "14x2", "quantity": "2", "listprice": "3.50", "tax1": "19"}, cf_external_id="w1")
    state = wire.http.get("/sandbox/state?module=SalesOrder").json()
    (order,) = state["records"]["SalesOrder"]
    assert (order["hdnGrandTotal"], order["cf_external_id"]) == ("8.33000000", "w1")
    assert [line["quantity"] for line in order["LineItems"]] == ["2.000"]
    calls = wire.http.get("/sandbox/calls?last=1").json()
    assert calls["operations"] == {"create": 2}
    assert calls["by_module"] == {"create Accounts": 1, "create SalesOrder": 1}
    assert calls["last"][0]["module"] == "SalesOrder"
    wire.http.post("/sandbox/reset", json={"seed": False}).raise_for_status()
    assert wire.http.get("/sandbox/state").json()["counts"] == {}


def test_seeding_names_what_is_wrong(wire: Wire) -> None:
    answer = wire.http.post("/sandbox/seed", json={"products": [{"productcode": "no-name"}]})
    assert answer.status_code == 422
    assert "productname" in answer.json()["error"]
    ids = wire.http.post("/sandbox/seed", json={"products": [{"productname": "P", "productcode": "S-1"}]}).json()
    assert wire.product("S-1") == ids["products"]["S-1"]


def test_two_stand_ins_share_nothing() -> None:
    first, second = crm_app(seed=False, switches=Switches(php=7)), crm_app(seed=False)
    first.service.records.create(
        first.service.people.users["admin"], "Leads", {"lastname": "x", "assigned_user_id": "19x1"}
    )
    assert len(first.service.store.rows) == 1
    assert not second.service.store.rows
    assert second.service.switches.php == 8


def test_a_query_in_an_address_too_long_is_414(wire: Wire) -> None:
    ids = ",".join(f"'12x{n}'" for n in range(900))
    text = "SELECT id FROM Contacts WHERE id IN ({});"
    assert wire.raw_get("query", query=text.format("'12x1'")).status_code == 200
    assert wire.raw_get("query", query=text.format(ids)).status_code == 414
