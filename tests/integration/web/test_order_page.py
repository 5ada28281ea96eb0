"""The order's page, every field explained, the look before the leap, and what the systems hold; hostile texts harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from html import unescape

import pytest
from fastapi.testclient import TestClient

from core.keys import Key
from core.rights import Role
from ledger.search import Search
from pipelines import curls, explaining, whereabouts
from pipelines.desk import Desk
from pipelines.editing import Editing, Look
from tests.desk import HOSTILE, hostile_orders
from tests.orders import NOWHERE, corpus, order, person
from tests.people import logged_in
from tests.world import SkippingClock, World, crm


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with crm() as (_, url), World(database_url, url, clock=SkippingClock(), invoices="on_order") as made:
        yield made


@pytest.fixture
def client(world: World) -> TestClient:
    made = logged_in(world.app(lambda: None), Role.ADMIN, "Olga")
    made._transport.raise_server_exceptions = True  # a bug of a page fails with its own words
    return made


def get(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text[:2000]
    return unescape(str(answer.text))


def post(client: TestClient, path: str, **fields: str) -> str:
    answer = client.post(path, data=fields)
    assert answer.status_code == 200, answer.text[:2000]
    return unescape(str(answer.text))


def look(world: World, job_id: int) -> Look:
    return Editing(world.context, Desk(world.ledger, world.ledger.audit)).look(job_id, actor="test")


def plain(text: str) -> str:
    """What a reader reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


# -- the order ---------------------------------------------------------------------------------------------------------


def test_the_order_in_every_system_with_state_number_link_and_time(world: World, client: TestClient) -> None:
    world.carry(order(1001, meta={"po_number": "PO-7"}))
    text = get(client, "/orders/1001")
    there = world.order(1001)
    for module, number in (
        ("SalesOrder", there["salesorder_no"]),
        ("Invoice", world.records("Invoice")[0]["invoice_no"]),
    ):
        assert f"module={module}&view=Detail" in text
        assert number in text
    for module in ("Accounts", "Contacts"):
        record_id = world.records(module)[0]["id"].partition("x")[2]
        assert f"module={module}&view=Detail&record={record_id}" in text
    assert "made for this customer" in text
    assert "known by the e-mail address" in text
    assert "ada@office.example" not in text
    assert "/wp-admin/post.php?post=1001" in text
    assert "processing" in text, "the store's own word"
    places = whereabouts.of(world.context, Search(world.ledger.db), Key("shop", "order", "1001")).places
    assert {place.kind for place in places} == {"account", "contact", "order", "invoice"}
    assert all(place.since is not None for place in places)
    assert "Delivered" not in text
    world.ledger.orders.crm_says("shop-orders", "shop/order/1001", "Delivered", seen_at=None)
    assert "<bdi>Delivered</bdi>" in get(client, "/orders/1001"), "what people made of it in the CRM"


def test_an_account_that_was_there_is_not_called_ours(world: World, client: TestClient) -> None:
    world.carry(order(1001))
    world.carry(order(1002))
    assert "made for this customer" in get(client, "/orders/1002"), "by the link of the same identity"
    world.seed(accounts=[{"accountname": "Old Firm", "email1": "old@firm.example"}])
    world.fill_index()
    world.carry(order(1003, billing=person("Olda", email="old@firm.example", company="Old Firm")))
    text = get(client, "/orders/1003")
    assert "was there, or came with another order" in text


def test_every_event_with_what_it_changed_against_the_one_before(world: World, client: TestClient) -> None:
    world.carry(order(1001, customer_note="first"))
    world.carry(order(1001, customer_note="second", modified="2026-11-20T11:00:00"))
    world.carry(order(1001, customer_note="second", modified="2026-11-20T12:00:00"))
    found = whereabouts.closely(world.context, Search(world.ledger.db), Key("shop", "order", "1001"))
    newest, middle, first = (event["id"] for event in found.events)
    assert found.changes is not None
    assert first not in found.changes
    assert {(one.path, one.before, one.after) for one in found.changes[middle].found or ()} == {
        ("date_modified_gmt", '"2026-11-20T10:00:00"', '"2026-11-20T11:00:00"'),
        ("customer_note", '"first"', '"second"'),
    }
    assert [one.path for one in found.changes[newest].found or ()] == ["date_modified_gmt"]
    text = plain(get(client, "/orders/1001"))
    assert 'customer_note "first" "second"' in text
    assert "the first one" in text


def test_a_person_s_edit_is_an_event_with_its_change(world: World, client: TestClient) -> None:
    held = world.carry(order(1001, total="1.00"))
    editing = Editing(world.context, Desk(world.ledger, world.ledger.audit))
    draft = editing.draft(held.id)
    mended = draft.text.replace('"1.00"', f'"{order(1001)["total"]}"')
    editing.save(held.id, mended, draft.version, "the sum was wrong", actor="Olga")
    text = plain(get(client, "/orders/1001"))
    assert "edited by a person" in text
    assert f'total "1.00" "{order(1001)["total"]}"' in text


def test_an_order_that_does_not_balance_shows_total_parts_and_difference(world: World, client: TestClient) -> None:
    world.carry(order(1001, total="1.00"))
    text = plain(get(client, "/orders/1001"))
    sums = order(1001)["total"]
    assert f"It does not balance: the total is 1.00 EUR, its parts are {sums} EUR." in text
    left = Decimal("1.00") - Decimal(sums)
    assert f"{left}" in text
    assert "not known yet" not in text
    assert "not known yet" not in plain(get(client, f"/jobs/{world.job('shop/order/1001').id}"))


def test_every_cent_of_a_recorded_order_is_on_its_page(world: World, client: TestClient) -> None:
    raw = next(one for one in corpus() if one["fee_lines"] and one["shipping_lines"] and one["coupon_lines"])
    world.carry(raw)
    text = plain(get(client, f"/orders/shop/order/{raw['id']}"))
    assert "Every cent is explained: the parts add up to the total." in text
    for word in ("line", "fee", "shipping", "tax", "Sum of the parts", "Total of the store"):
        assert word in text
    for row in (*raw["fee_lines"], *raw["shipping_lines"]):
        assert row["total"] in text


def test_what_cannot_be_read_says_so(world: World, client: TestClient) -> None:
    world.carry(order(1001, currency="???"))
    text = plain(get(client, "/orders/1001"))
    assert "Its amounts are not known: the order cannot be read." in text
    assert "is not a currency of ISO 4217" in text


def test_the_target_is_asked_what_it_holds_to_the_cent(world: World, client: TestClient) -> None:
    job = world.carry(order(1001))
    world.forget_calls()
    text = plain(post(client, f"/jobs/{job.id}/compare"))
    assert "none, to the cent" in text
    assert world.writes() == 0
    assert [note.action for note in world.ledger.audit.list(subject=f"job/{job.id}")] == ["job.compare"]
    # The store changes the total before it is carried: the difference is told.
    world.deliver(order(1001, shipping="9.90", modified="2026-11-20T12:00:00"))
    text = plain(post(client, f"/jobs/{job.id}/compare"))
    assert "none, to the cent" not in text
    assert "-5.95" in text


def test_a_target_that_is_out_is_told_and_nothing_breaks(world: World, client: TestClient) -> None:
    job = world.carry(order(1001))
    world.faults(connection_closed=1.0)
    assert "could not be asked" in plain(post(client, f"/jobs/{job.id}/compare"))


# -- every field -------------------------------------------------------------------------------------------------------


def explained(world: World, number: int, *, hidden: bool = True) -> explaining.Explanation:
    job = world.job(f"shop/order/{number}")
    found = Search(world.ledger.db)
    key = Key("shop", "order", str(number))
    record = world.ledger.inbox.record(key)
    assert record is not None
    states = whereabouts.states(found, list(reversed(world.ledger.inbox.events(key))))
    return explaining.explained(world.context, job, record.raw, states, hidden=hidden)


def test_every_field_that_is_sent_is_explained_and_is_what_was_sent(world: World, client: TestClient) -> None:
    world.carry(order(1001, meta={"po_number": "PO-7"}))
    found = explained(world, 1001)
    assert not found.missing
    assert found.fault == ""
    there = world.order(1001)
    rows = {row.name: row for row in found.sent}
    for name in ("subject", "sostatus", "account_id", "contact_id", "assigned_user_id", "bill_city", "cf_external_id"):
        assert rows[name].value == there[name], name
    assert [place.path for place in rows["vtiger_purchaseorder"].places] == ["meta_data[0].value"]
    assert [(place.where, place.path) for place in rows["assigned_user_id"].places] == [("flow", "owner")]
    assert [place.where for place in rows["account_id"].places] == ["customer"]
    assert "status" in {place.path for place in rows["sostatus"].places}
    text = plain(get(client, f"/jobs/{world.job('shop/order/1001').id}/fields"))
    assert "vtiger_purchaseorder PO-7" in text
    assert "meta_data[0].value = PO-7" in text
    assert "[e-mail]" in text
    assert "ada@office.example" not in text


def test_nobody_is_asked_for_an_explanation(world: World, client: TestClient) -> None:
    job = world.carry(order(1001))
    world.forget_calls()
    world.context.products.forget()
    get(client, f"/jobs/{job.id}/fields")
    get(client, "/orders/1001")
    get(client, f"/jobs/{job.id}")
    assert not world.calls()["operations"]


def test_a_value_names_the_delivery_that_brought_it(world: World) -> None:
    world.carry(order(1001, customer_note="first"))
    world.carry(order(1001, customer_note="second", modified="2026-11-20T11:00:00"))
    first, second = (event["id"] for event in world.ledger.inbox.events(Key("shop", "order", "1001")))
    rows = {row.name: row for row in explained(world, 1001).mapped}
    assert [place.since.event for place in rows["note"].places if place.since] == [second]
    assert [place.since.event for place in rows["number"].places if place.since] == [first]


def test_hidden_values_are_shown_with_the_right_and_a_reason_alone(world: World, client: TestClient) -> None:
    job = world.carry(order(1001))
    refused = client.post(f"/jobs/{job.id}/fields/reveal", data={"reason": " "})
    assert refused.status_code == 409
    text = post(client, f"/jobs/{job.id}/fields/reveal", reason="the customer called")
    assert "ada@office.example" in text
    (note,) = world.ledger.audit.list(action="job.reveal")
    assert (note.actor, note.subject, note.facts["reason"]) == ("Olga", f"job/{job.id}", "the customer called")
    operator = logged_in(world.app(lambda: None), Role.OPERATOR, "Otto")
    assert operator.post(f"/jobs/{job.id}/fields/reveal", data={"reason": "curious"}).status_code == 403


def test_a_mapping_that_fails_says_where_it_ends(world: World, client: TestClient) -> None:
    job = world.carry(order(1001, currency="???"))
    text = plain(get(client, f"/jobs/{job.id}/fields"))
    assert "It ends here:" in text
    assert "What to do:" in text
    job = world.carry(order(1002, currency="GBP"))  # readable, but the CRM has no such currency
    found = explained(world, 1002)
    assert (found.field, found.sent) == ("currency_id", [])
    assert any(row.name == "currency" and row.value == "GBP" for row in found.mapped)
    assert "It ends here:" in plain(get(client, f"/jobs/{job.id}/fields"))


def test_words_without_a_counterpart_are_marked(world: World) -> None:
    world.deliver(order(1001, status="being-packed"))
    rows = {row.name: row for row in explained(world, 1001).mapped}
    assert (rows["status"].rule, [place.value for place in rows["status"].places]) == ("unknown", ["being-packed"])


def test_custom_fields_show_path_steps_and_default(database_url: str) -> None:
    fields = {
        "cf_901": {"path": "meta_data[?key=='cost_centre'].value | [0]", "via": ["strip", "upper"]},
        "cf_902": {"path": "meta_data[?key=='nobody'].value | [0]", "default": "NONE"},
    }
    with crm() as (_, url), World(database_url, url, shops={"shop": {"fields": fields}}) as world:
        world.deliver(order(1001, meta={"cost_centre": " k-7 "}))
        rows = {row.name: row for row in explained(world, 1001).sent}
    path = "meta_data[?key=='cost_centre'].value | [0]"
    assert (rows["cf_901"].value, rows["cf_901"].note) == ("K-7", f"{path} > strip > upper")
    assert [place.path for place in rows["cf_901"].places] == ["meta_data[0].value"]
    assert (rows["cf_902"].value, rows["cf_902"].rule) == ("NONE", "default")


# -- the look before the leap ------------------------------------------------------------------------------------------


def test_a_dry_run_tells_each_record_that_would_be_created_and_writes_none(world: World, client: TestClient) -> None:
    world.deliver(order(1001))
    job = world.job("shop/order/1001")
    world.fill_index()
    world.forget_calls()
    found = look(world, job.id)
    assert world.writes() == 0
    assert [(one.kind, one.new) for one in found.targets] == [
        ("account", True), ("contact", True), ("order", True), ("invoice", True),
    ]  # fmt: skip
    order_fields = {one.name: one.after for one in found.targets[2].changed}
    assert order_fields["subject"] == "Order 1001"
    assert order_fields["account_id"] == "(1) create_account"
    assert order_fields["LineItems[0].quantity"] == "2"
    text = plain(post(client, f"/jobs/{job.id}/dry-run"))
    assert text.count("would be created create_") == 4
    assert "Nothing was written just now." in text
    assert world.writes() == 0
    assert world.counts() == (0, 0, 0, 0, 0)
    # What was told is what is sent then.
    world.drain()
    there = world.order(1001)
    for name in ("subject", "sostatus", "bill_street", "bill_city", "cf_external_id", "description"):
        assert there[name] == order_fields.get(name, ""), name


def test_a_dry_run_of_a_change_is_a_difference_with_the_rest_folded(world: World, client: TestClient) -> None:
    job = world.carry(order(1001))
    billing = {**order(1001)["billing"], "city": "Hamburg"}
    world.deliver(order(1001, billing=billing, modified="2026-11-20T12:00:00"))
    world.forget_calls()
    (target,) = look(world, job.id).targets
    assert world.writes() == 0
    assert (target.new, target.kind, target.number) == (False, "order", world.order(1001)["salesorder_no"])
    assert {(one.name, one.before, one.after) for one in target.changed if one.before is not None} == {
        ("bill_city", "Berlin", "Hamburg"), ("ship_city", "Berlin", "Hamburg"),
    }  # fmt: skip
    names = {one.name for one in (*target.changed, *target.unchanged)}
    assert "bill_code" in names
    assert not any(name.startswith("LineItems") for name in names), "lines that are the same are not sent"
    text = plain(post(client, f"/jobs/{job.id}/dry-run"))
    assert "would be changed" in text
    assert "bill_city Berlin Hamburg" in text
    assert "fields as they are" in text
    assert world.order(1001)["bill_city"] == "Berlin"


def test_no_way_to_write_is_left_open_while_one_looks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transport refuses: a connector that writes where it should only tell is stopped, and says so."""
    job = world.carry(order(1001))
    world.deliver(order(1001, customer_note="more", modified="2026-11-20T12:00:00"))
    client = world.crm._client
    monkeypatch.setattr(
        type(world.crm._preview),
        "standing",
        lambda _self, record: client.revise("SalesOrder", {"id": record, "subject": "x"}),
    )
    world.forget_calls()
    (target,) = look(world, job.id).targets
    assert target.fault
    assert world.writes() == 0
    assert world.order(1001)["subject"] == "Order 1001"


def test_a_held_order_shows_what_fails_and_what_would_help(world: World, client: TestClient) -> None:
    job = world.carry(order(1001, total="1.00"))
    text = plain(post(client, f"/jobs/{job.id}/dry-run"))
    assert "What fails, and what would help" in text
    assert "It does not balance" in text
    assert "compare the order with the store" in text
    assert world.writes() == 0
    assert look(world, job.id).targets == ()


# -- the job -----------------------------------------------------------------------------------------------------------


def test_the_timeline_has_queue_wait_and_each_call_with_its_path(world: World, client: TestClient) -> None:
    job = world.carry(order(1001))
    text = get(client, f"/jobs/{job.id}")
    assert "in the queue" in text
    assert "<code>webservice.php</code>" in text or "<code>/webservice.php</code>" in text
    attempts, _ = Search(world.ledger.db).attempts(job.id)
    lines = [curls.command(world.context, call) for call in attempts[0].calls]
    assert lines
    assert all(line.startswith("curl ") for line in lines)
    create = next(line for line in lines if "operation=create" in line)
    assert '"$SESSION"' in create
    assert '"$ELEMENT"' in create
    assert create in text
    joined = " ".join(lines)
    assert "sandbox-access-key" not in joined
    assert "sessionName=$SESSION" in joined.replace('"', "").replace("'", "")
    assert f'data-copy-address="/jobs/{job.id}"' in text


def test_calls_from_before_paths_were_kept_are_shown_without(world: World) -> None:
    old = {
        "connection": "crm",
        "operation": "create",
        "method": "POST",
        "status": 200,
        "milliseconds": 1.0,
        "write": True,
    }
    assert curls.command(world.context, old) == ""
    assert curls.command(world.context, {**old, "connection": "nobody", "path": "x"}) == ""


@pytest.mark.parametrize("path", ["a'b", "$(reboot)", "`reboot`", "x; reboot", "\u202egnp", "a\nb"])
def test_a_hostile_path_stays_one_word_of_the_command(world: World, path: str) -> None:
    import shlex

    call = {"connection": "shop", "operation": "orders.get", "method": "GET", "path": path}
    line = curls.command(world.context, call)
    assert "\n" not in line
    assert "\u202e" not in line
    words = shlex.split(line)
    assert words[0] == "curl"
    assert len(words) == 6
    assert words[3].endswith(path) or not path.isprintable()
    for mark in ("$(", "`", ";"):
        assert mark not in line or "'" in line


# -- hostile texts -----------------------------------------------------------------------------------------------------


def test_hostile_texts_are_harmless_on_every_page(world: World, client: TestClient) -> None:
    orders = list(hostile_orders())
    for made in orders:
        world.deliver(made)
        world.deliver({**made, "customer_note": HOSTILE[0], "date_modified_gmt": "2026-11-20T12:00:00"})
    world.drain()
    for made in orders:
        job = world.job(f"shop/order/{made['id']}")
        pages = [
            client.get(f"/orders/shop/order/{made['id']}"),
            client.get(f"/jobs/{job.id}"),
            client.get(f"/jobs/{job.id}/fields"),
            client.post(f"/jobs/{job.id}/fields/reveal", data={"reason": "test"}),
            client.post(f"/jobs/{job.id}/dry-run"),
            client.post(f"/jobs/{job.id}/compare"),
        ]
        for answer in pages:
            assert answer.status_code == 200, (answer.request.url, answer.text[:500])
            assert "<script>window" not in answer.text
            assert "<img src=x" not in answer.text
            assert " onmouseover='" not in answer.text
            assert 'href="javascript' not in answer.text


def test_an_empty_address_and_many_lines_are_explained_too(world: World) -> None:
    lines = tuple(("OF-100", 1, "10.00") for _ in range(60))
    world.deliver(order(1001, lines, billing={**NOWHERE, "first_name": "Ann", "email": "ann@a.example", "phone": ""}))
    found = explained(world, 1001)
    assert not found.missing
    assert {row.rule for row in found.sent if row.name == "bill_street"} == {"default"}
