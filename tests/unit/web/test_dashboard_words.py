"""Pure parts of the dashboard: where an alert leads, how a connection is called, when something is late, what a pause means."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from babel import Locale

from core.errors import OrderwireError
from ledger.flows import FlowState
from ledger.state import ConnectionState
from pipelines.desk import changes_for
from web.dashboard.alerts import OF_A_CONNECTION, link
from web.dashboard.connections import length
from web.dashboard.flows import beginning
from web.dashboard.spark import HEIGHT, spark
from web.dashboard.tiles import late_by, standing_of
from web.dashboard.timetable import anchor
from web.pages import count, duration, money

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
EN = Locale.parse("en")


# -- alerts --------------------------------------------------------------------------------------------------------------

CAUSES = {
    "connection/crm": "/connections/crm",
    "silence/shop": "/connections/shop",
    "gaps/shop": "/connections/shop",
    "webhooks/shop": "/connections/shop",
    "refused/shop": "/connections/shop",
    "schedule/poll/shop": "/schedules#s-poll-shop",
    "held/shop-orders/rate limit": "/jobs?state=held&flow=shop-orders&error=rate+limit",
    "held/shop-orders/": "/jobs?state=held&flow=shop-orders&error=",
    "feed/files": "/connections/files",
    "feed-rows/files/OW": "/connections/files",
    "rush/shop-orders": "/deliveries?flow=shop-orders",
    "stock/goods": "/stock?of=goods",
    "compare/shop-orders/doubled": "/jobs?flow=shop-orders&state=settled",
    "double:crm:order:shop/order/10:01": "/search?q=shop%2Forder%2F10%3A01",
}


@pytest.mark.parametrize(("cause", "address"), CAUSES.items())
def test_an_alert_leads_to_its_page(cause: str, address: str) -> None:
    assert link(cause) == address


def test_every_cause_that_the_product_raises_is_known() -> None:
    raised = set()
    for file in sorted((ROOT / "pipelines").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "Condition(" in text:
            raised |= set(re.findall(r"""(?:Condition\(\s*|cause = |return )f"([a-z-]+)[/:]\{""", text))
    raised -= {"gaps-known"}  # a cursor, not a cause
    assert {"connection", "held", "schedule", "webhooks", "double", "compare", "silence", "gaps"} <= raised, (
        "the search works"
    )
    assert raised <= {*OF_A_CONNECTION, "feed-rows", "held", "schedule", "double", "compare", "rush", "stock"}, (
        "say in web/dashboard/alerts.py where it leads"
    )


@pytest.mark.parametrize("cause", ["", "connection/", "?", "javascript:alert(1)", "held/"])
def test_an_unknown_cause_leads_no_further_than_the_alerts(cause: str) -> None:
    assert link(cause) == "/alerts"


def test_a_name_cannot_lead_elsewhere() -> None:
    assert link("connection/../../evil") == "/connections/..%2F..%2Fevil"


# -- connections ---------------------------------------------------------------------------------------------------------


def state(**over: object) -> ConnectionState:
    known: dict[str, object] = {
        "connection": "crm", "blocked_for": 0.0, "blocked_class": "", "blocked_reason": "", "paused_for": 0.0, "faults": 0,
        "out_for": 0.0, "last_success_at": None,
    }  # fmt: skip
    return ConnectionState(**{**known, **over})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "word"),
    [
        (None, "unheard"),
        (state(), "unheard"),
        (state(last_success_at=NOW), "works"),
        (state(faults=1, blocked_for=5, out_for=5, blocked_class="timeout", last_success_at=NOW), "backing_off"),
        (state(faults=9, out_for=61, blocked_class="timeout"), "out"),
        (state(faults=9, blocked_for=9, out_for=3600, blocked_class="timeout"), "out"),
        (state(faults=1, out_for=1, blocked_class="auth"), "login_refused"),
        (state(faults=1, out_for=99, blocked_class="auth", paused_for=1), "paused"),
    ],
)
def test_how_a_connection_is_called(known: ConnectionState | None, word: str) -> None:
    assert standing_of(known) == word


@pytest.mark.parametrize(
    ("ago", "every", "late"),
    [(30, 60, 0), (89, 60, 0), (91, 60, 31), (400, 300, 0), (451, 300, 151), (10_000, 0, 0)],
)
def test_late_is_measured_by_the_cadence(ago: int, every: float, late: float) -> None:
    assert late_by(NOW - timedelta(seconds=ago), every, NOW) == late


def test_what_never_was_is_not_late() -> None:
    assert late_by(None, 60, NOW) == 0


@pytest.mark.parametrize(
    ("span", "until", "offset", "seconds"),
    [
        ("15", "", "", 900.0),
        ("open", "", "", None),
        ("time", "2026-11-22T09:30", "60", 3600.0),  # Rome: an hour ahead of UTC
        ("time", "2026-11-22T03:30", "-300", 3600.0),
        ("time", "2026-11-22T08:30", "", 3600.0),
        ("time", "2026-11-22T08:30", "nonsense", 3600.0),
        ("time", "2026-11-22T08:30:00+00:00", "600", 3600.0),
    ],
)
def test_how_long_a_pause_lasts(span: str, until: str, offset: str, seconds: float | None) -> None:
    assert length(span, until, offset, NOW) == seconds


@pytest.mark.parametrize(
    ("span", "until"),
    [("", ""), ("0", ""), ("-5", ""), ("99999999999", ""), ("²", ""), ("time", ""), ("time", "tomorrow"), ("time", "2020-01-01T00:00"),
     ("time", "9999-12-31T23:59"), ("time", "0001-01-01T00:00")],
)  # fmt: skip
def test_a_pause_that_makes_no_sense_is_refused(span: str, until: str) -> None:
    with pytest.raises(OrderwireError, match="What to do: "):
        length(span, until, "840", NOW)


# -- flows ---------------------------------------------------------------------------------------------------------------


def test_only_what_makes_sense_is_offered() -> None:
    assert changes_for(FlowState("f", "rehearse")) == ("live",)
    assert changes_for(FlowState("f", "rehearse", changed_at=NOW)) == ("live",)
    assert changes_for(FlowState("f", "live", changed_at=NOW)) == ("paused", "rehearse")
    assert changes_for(FlowState("f", "paused", changed_at=NOW)) == ("live", "rehearse")


def test_from_which_orders_on() -> None:
    assert beginning("kept", "", "", NOW) == (None, False)
    assert beginning("any", "", "", NOW) == (None, True)
    assert beginning("now", "", "", NOW) == (NOW, False)
    assert beginning("time", "2026-11-01T00:00", "60", NOW) == (datetime(2026, 10, 31, 23, tzinfo=UTC), False)
    for begin, start in (("", ""), ("later", ""), ("time", ""), ("time", "soon")):
        with pytest.raises(OrderwireError, match="What to do: "):
            beginning(begin, start, "", NOW)


# -- pictures and words --------------------------------------------------------------------------------------------------


def test_a_spark_shows_every_hour_that_had_anything() -> None:
    drawn = spark([0] * 22 + [1, 10_000], [0] * 23 + [5_000], NOW)
    assert (drawn.total, drawn.failures, drawn.highest) == (10_001, 5_000, 15_000)
    assert [bar.well for bar in drawn.bars[-2:]] == [1.0, 21.3]
    assert all(bar.well + bar.badly <= HEIGHT + 0.1 for bar in drawn.bars)
    assert drawn.since == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert not any(bar.well for bar in spark([0] * 24, [0] * 24, NOW).bars)


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234567.5", "EUR", "1,234,567.50\N{NO-BREAK SPACE}EUR"),
        (Decimal(1500), "JPY", "1,500\N{NO-BREAK SPACE}JPY"),
        ("0.123456", "EUR", "0.123456\N{NO-BREAK SPACE}EUR"),
        ("-3", "KWD", "-3.000\N{NO-BREAK SPACE}KWD"),
        ("9007199254740993.01", "EUR", "9,007,199,254,740,993.01\N{NO-BREAK SPACE}EUR"),
        ("", "EUR", ""),
        ("<b>", "EUR", "<b> EUR"),
        ("NaN", "EUR", "NaN EUR"),
    ],
)
def test_money_is_exact(amount: str | Decimal, currency: str, shown: str) -> None:
    assert money(amount, currency, EN) == shown


def test_numbers_and_spans() -> None:
    assert [count(number, 10_000, EN) for number in (0, 1234, 10_000, 10_001)] == ["0", "1,234", "10,000", "10,000+"]
    assert [duration(seconds, EN) for seconds in (-1, 45, 60, 300, 3600, 86_400)] == [
        "0 seconds", "45 seconds", "1 minute", "5 minutes", "1 hour", "1 day",
    ]  # fmt: skip


def test_an_anchor_is_a_plain_word() -> None:
    assert anchor("poll/shop") == "s-poll-shop"
    assert re.fullmatch(r"[a-z0-9_-]+", anchor('x"/><script>'))
