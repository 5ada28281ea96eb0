"""`/metrics`: every name of docs/operating.md, the right numbers after a few orders, and never a label for each order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from sqlalchemy.exc import OperationalError

from core.keys import Change, Key
from ledger import Ledger, rushes
from ledger import tables as t
from ledger.alerts import Condition
from ledger.gauges import Gauges
from ledger.inbox import RANK
from pipelines.context import Context
from pipelines.gauges import KEPT, MOST_WORDS, LedgerMetrics
from tests.integration.ledger import kit
from tests.monitoring import EXPRESSIONS, labels_of, metrics_of
from tests.orders import order
from tests.world import SkippingClock, World, crm

NAMES = {
    "orderwire_jobs_finished",
    "orderwire_job_duration_seconds",
    "orderwire_job_queue_wait_seconds",
    "orderwire_queue_depth",
    "orderwire_queue_oldest_age_seconds",
    "orderwire_connector_up",
    "orderwire_connector_last_success_timestamp_seconds",
    "orderwire_connector_circuit_state",
    "orderwire_connector_paused",
    "orderwire_connector_requests",
    "orderwire_connector_request_duration_seconds",
    "orderwire_connector_rate_limit_remaining",
    "orderwire_webhooks_received",
    "orderwire_orders_entered",
    "orderwire_order_end_to_end_seconds",
    "orderwire_open_problems",
    "orderwire_alerts_open",
    "orderwire_schedule_lateness_seconds",
    "orderwire_build_info",
    "orderwire_ledger_up",
    "orderwire_jobs",
    "orderwire_warnings",
}


@pytest.fixture(scope="module")
def crm_url() -> Iterator[str]:
    with crm() as (_, url):
        yield url


@pytest.fixture
def world(database_url: str, crm_url: str) -> Iterator[World]:
    with World(database_url, crm_url, clock=SkippingClock()) as made:
        yield made


def samples(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(found: list[Sample], name: str, **labels: str) -> float | None:
    """The one sample of this name and these labels; None where there is none."""
    values = [one.value for one in found if one.name == name and labels.items() <= one.labels.items()]
    assert len(values) < 2, f"{name} {labels}"
    return values[0] if values else None


def read(world: World) -> list[Sample]:
    """What the process tells right now, nothing kept from before."""
    return samples(world.metrics.text().decode() + LedgerMetrics(world.context).text().decode())


def families(app: FastAPI) -> set[str]:
    with TestClient(app) as web:
        answer = web.get("/metrics")
    assert answer.status_code == 200
    return {
        family.name for family in text_string_to_metric_families(answer.text) if family.name.startswith("orderwire")
    }


def test_every_name_is_there_from_the_first_moment(app: FastAPI) -> None:
    assert families(app) == NAMES


def test_rules_and_board_use_what_exists(ledger: Ledger, app: FastAPI) -> None:
    """Their names are told, and the labels that they choose by are those of the metric."""
    with TestClient(app) as web:
        text = web.get("/metrics").text
    known = {one[7:].split(" ")[0] for one in text.splitlines() if one.startswith("# TYPE orderwire")}
    gauges = {family.name: family for family in LedgerMetrics(Context(ledger, {}, {}, {}, {}))._read()}
    for where, expression in EXPRESSIONS:
        for name in metrics_of(expression):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in known or base in known, f"{where}: {name}"
    labels = {name: set(getattr(family, "_labelnames", ())) for name, family in gauges.items()}
    labels["orderwire_build_info"] = {"version", "python"}
    for collector in app.state.orderwire.metrics.registry._collector_to_names:
        labels[collector._name] = set(collector._labelnames)
    for where, expression in EXPRESSIONS:
        names = [re.sub(r"_(bucket|sum|count|total)$", "", name) for name in metrics_of(expression)]
        allowed = {"le", "instance"}.union(*(labels[name] for name in names))
        assert labels_of(expression) <= allowed, f"{where}: {expression}"


def test_the_numbers_after_a_few_orders(world: World) -> None:
    world.carry(order(1))
    world.carry(order(2, meta={"channel": "phone"}))
    assert world.carry(order(3, currency="XXX")).state == "held"
    found = read(world)
    where = {"flow": "shop-orders", "queue": "live", "kind": "order"}
    assert value(found, "orderwire_jobs_finished_total", outcome="settled", **where) == 2
    assert value(found, "orderwire_jobs_finished_total", outcome="held", **where) == 1
    assert value(found, "orderwire_job_duration_seconds_count", queue="live", kind="order") == 3
    assert 0 < (value(found, "orderwire_job_duration_seconds_sum", queue="live") or 0) < 60
    assert value(found, "orderwire_job_queue_wait_seconds_count", queue="live", kind="order") == 3
    assert value(found, "orderwire_orders_entered_total", channel="web") == 1
    assert value(found, "orderwire_orders_entered_total", channel="phone") == 1
    assert value(found, "orderwire_order_end_to_end_seconds_count", source="shop", target="crm") == 2
    assert value(found, "orderwire_jobs", state="held") == 1
    assert value(found, "orderwire_jobs", state="waiting") == 0
    (problem,) = [one for one in found if one.name == "orderwire_open_problems"]
    assert problem.labels == {"class": world.job("shop/order/3").error_class}
    assert problem.value == 1
    assert value(found, "orderwire_ledger_up") == 1
    (build,) = [one for one in found if one.name == "orderwire_build_info"]
    assert build.value == 1


def test_an_order_enters_once_however_often_it_changes(world: World) -> None:
    world.carry(order(1))
    world.carry(order(1, status="cancelled", modified="2026-11-20T12:00:00"))
    found = read(world)
    assert value(found, "orderwire_jobs_finished_total", outcome="settled") == 2
    assert value(found, "orderwire_orders_entered_total", channel="web") == 1
    assert value(found, "orderwire_order_end_to_end_seconds_count") == 1


def test_end_to_end_counts_from_the_moment_it_was_placed(world: World) -> None:
    world.carry(order(1))
    placed = datetime.fromisoformat(order(1)["date_created_gmt"]).replace(tzinfo=UTC)
    seconds = value(read(world), "orderwire_order_end_to_end_seconds_sum")
    assert seconds == pytest.approx((world.ledger.clock.now() - placed).total_seconds(), abs=30)


def test_nothing_that_a_sender_writes_becomes_a_label(world: World) -> None:
    def series() -> set[tuple[Any, ...]]:
        return {(one.name, *sorted(one.labels.items())) for one in read(world) if one.name.startswith("orderwire")}

    for number in (771001, 771002):
        world.carry(order(number, meta={"channel": f"odd-{number}"}))
    before = series()
    for number in (771003, 771004, 771005):
        world.carry(order(number, meta={"channel": f"odd-{number}"}))
    assert series() == before
    assert value(read(world), "orderwire_orders_entered_total", channel="other") == 5
    words = {word for _, *labels in before for _, word in labels}
    assert not [word for word in words if "77100" in word or "@" in word or "://" in word or "Example" in word]


def test_a_connection_from_works_to_out_and_back(world: World) -> None:
    assert value(read(world), "orderwire_connector_up", connection="crm") is None, "it was never asked"
    world.ledger.states.succeeded("crm")
    found = read(world)
    assert value(found, "orderwire_connector_up", connection="crm") == 1
    assert value(found, "orderwire_connector_circuit_state", connection="crm") == 0
    success = value(found, "orderwire_connector_last_success_timestamp_seconds", connection="crm")
    assert success == pytest.approx(world.ledger.clock.now().timestamp(), abs=30)
    world.ledger.states.block("crm", 30, error_class="timeout", reason="It is out. What to do: wait.")
    found = read(world)
    assert value(found, "orderwire_connector_up", connection="crm") == 0
    assert value(found, "orderwire_connector_circuit_state", connection="crm") == 2
    assert isinstance(world.clock, SkippingClock)
    world.ledger.states.try_now("crm")
    found = read(world)
    assert value(found, "orderwire_connector_up", connection="crm") == 0
    assert value(found, "orderwire_connector_circuit_state", connection="crm") == 1
    world.ledger.states.block("left-over", 30, error_class="timeout", reason="Not configured any more.")
    world.ledger.states.pause("crm", 60)
    found = read(world)
    assert value(found, "orderwire_connector_paused", connection="crm") == 1
    assert value(found, "orderwire_connector_up", connection="left-over") is None


def test_queues_tell_depth_and_the_age_of_the_oldest(ledger: Ledger) -> None:
    kit.add(ledger, "1001", "1002")
    kit.add(ledger, "1003", queue="backfill")
    kit.add(ledger, "1004")
    past, far = ledger.db.micros() - 90_000_000, ledger.db.micros() + 400 * 86_400_000_000
    ledger.db.execute(sa.update(t.job).where(t.job.c.record_id == "1001").values(due_at=past))
    ledger.db.execute(sa.update(t.job).where(t.job.c.record_id == "1004").values(due_at=far))
    queues = {queue.name: queue for queue in Gauges(ledger.db).queues()}
    assert set(queues) == set(RANK)
    assert [queues[name].depth for name in ("live", "sync", "backfill")] == [2, 0, 1], "1004 waits for its flow"
    assert queues["live"].oldest == pytest.approx(90, abs=20)
    assert queues["sync"].oldest == 0
    assert queues["backfill"].oldest < 20


def test_schedules_of_this_configuration_alone_are_late(world: World) -> None:
    schedules = world.ledger.schedules
    for name in ("conditions", "poll/gone"):
        assert schedules.start_if_due(name, every=10, lease=30)
    assert value(read(world), "orderwire_schedule_lateness_seconds", schedule="conditions") == 0
    assert isinstance(world.clock, SkippingClock)
    late = sa.update(t.schedule).values(next_at=world.ledger.db.micros() - 700_000_000)
    world.ledger.db.execute(late)
    found = read(world)
    seconds = value(found, "orderwire_schedule_lateness_seconds", schedule="conditions")
    assert seconds == pytest.approx(700, abs=20)
    assert value(found, "orderwire_schedule_lateness_seconds", schedule="poll/gone") is None


def test_open_alerts_by_kind(world: World) -> None:
    for cause in ("silence/shop", "silence/shop2", "webhooks/shop"):
        world.ledger.alerts.open(Condition(cause, "quiet", "It is quiet."))
    world.ledger.alerts.close("silence/shop2")
    found = read(world)
    assert value(found, "orderwire_alerts_open", kind="silence") == 1
    assert value(found, "orderwire_alerts_open", kind="webhooks") == 1


def test_classes_beyond_some_are_added_up(ledger: Ledger) -> None:
    for number in range(MOST_WORDS + 3):
        ledger.alerts.open(Condition(f"kind{number}/x", "t", "m"))
    found = samples(LedgerMetrics(Context(ledger, {}, {}, {}, {})).text().decode())
    kinds = {one.labels["kind"]: one.value for one in found if one.name == "orderwire_alerts_open"}
    assert len(kinds) == MOST_WORDS + 1
    assert kinds["other"] == 3


def test_the_ledger_is_asked_once_in_a_few_seconds(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    gauges = LedgerMetrics(Context(ledger, {}, {}, {}, {}), monotonic=lambda: now)
    asked = kit.counting(monkeypatch, ledger.db, "rows")
    first = gauges.text()
    number = len(asked)
    assert 0 < number < 30
    kit.add(ledger, "1001")
    asked.clear()
    now += KEPT - 0.1
    assert gauges.text() == first
    assert asked == []
    now += 0.2
    assert value(samples(gauges.text().decode()), "orderwire_jobs", state="waiting") == 1


def test_while_the_ledger_is_away_that_alone_is_told(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(app.state.orderwire.context.ledger.db, "rows", away)
    with TestClient(app) as web:
        answer = web.get("/metrics")
    assert answer.status_code == 200
    found = samples(answer.text)
    assert value(found, "orderwire_ledger_up") == 0
    assert value(found, "orderwire_build_info") == 1
    assert not [one for one in found if one.name == "orderwire_queue_depth"]


def test_every_look_at_jobs_walks_an_index(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among a million settled jobs nothing may be read row by row."""
    kit.accept(ledger, *(Change(Key("shop", "order", str(n)), None, b"{}", dedupe=str(n)) for n in range(300)))
    ledger.db.execute(sa.update(t.job).values(state="settled"))
    kit.add(ledger, "waits")
    asked = kit.counting(monkeypatch, ledger.db, "rows")
    gauges = Gauges(ledger.db)
    assert gauges.jobs() == {"waiting": 1, "running": 0, "held": 0}
    assert {queue.name: queue.depth for queue in gauges.queues()} == {"rush": 0, "live": 1, "sync": 0, "backfill": 0}
    assert len(asked) == 11
    rushes.undone(ledger.db, "orders", ledger.clock.now())
    dialect = ledger.db.engine.dialect
    explain = "EXPLAIN QUERY PLAN" if ledger.db.is_sqlite else "EXPLAIN"
    with closing(ledger.db.engine.raw_connection()) as raw:
        cursor = raw.cursor()
        if not ledger.db.is_sqlite:
            cursor.execute("ANALYZE job")
            cursor.execute("SET enable_seqscan = off")  # so few rows are read quicker without an index
        for statement, *_ in asked:
            # Compiled as it is sent: parameters stay parameters, and a partial index must be found all the same.
            compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            order_of = compiled.positiontup
            given = [compiled.params[name] for name in order_of] if order_of else compiled.params
            cursor.execute(f"{explain} {compiled}", given)
            plan = "\n".join(str(row) for row in cursor.fetchall())
            due = "job.rank" in str(compiled) and "state = 'waiting'" in str(compiled)
            assert ("ix_job_due" if due else "ix_job_") in plan, plan
            assert "Seq Scan on job" not in plan
            assert 'SCAN job"' not in plan
            assert "SCAN job'" not in plan
        raw.rollback()
        cursor.close()
