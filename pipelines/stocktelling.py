"""Tells buyers what is low: at once, but seldom and never in their quiet hours; and in a digest once a day.

A letter is put together when it goes, from what is so then: what was well again by the end of a quiet night is not told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.engine import Connection

from core.settings import BuyerSettings, StockSettings
from core.stocksettings import within
from ledger import Ledger
from ledger.messages import NewMessage
from ledger.stockalerts import StockAlert, Told
from mapping import stockletters
from mapping.stock import at_risk, days_of_cover
from mapping.stockletters import Item, Letter, Style
from pipelines.context import Context
from pipelines.life import CALLED_OFF

log = structlog.get_logger(__name__)

EVERY: Final = 5.0
"""Seconds between two looks whether somebody is to be told: a quiet time is over, a digest is due."""
SCHEDULE: Final = "stock-letters"


def tell(context: Context) -> int:
    """Send what is due. How many letters."""
    ledger = context.ledger
    ledger.stock.alerts.wake()
    told = ledger.stock.alerts.told()
    return sum(
        Teller(context, buyer, told.get(buyer.name, Told()), ledger.clock.now()).go()
        for buyer in context.buyers.values()
    )


@dataclass
class Facts:
    """What letters and pages tell of articles beyond their level."""

    context: Context
    stock: StockSettings
    now: datetime

    @property
    def ledger(self) -> Ledger:
        """Where it stands."""
        return self.context.ledger

    def items(self, alerts: Sequence[StockAlert]) -> list[Item]:
        """These alerts of this source with cover and orders at risk."""
        skus = list(dict.fromkeys(alert.sku for alert in alerts))
        since = self.now - timedelta(days=self.stock.days)
        ordered = self.ledger.stock_orders.ordered(skus, since, [word.value for word in CALLED_OFF])
        waiting = self.ledger.stock_orders.waiting(skus, self.stock.source)
        there: dict[str, Decimal] = {}
        for level in self.ledger.stock.of(self.stock.source, skus):
            there[level.sku] = there.get(level.sku, Decimal(0)) + level.on_hand
        # A store has taken the goods of its orders off its levels already: they lie there for these orders.
        off = self.stock.source in self.context.stores
        lying = {
            sku: count + sum((order.quantity for order in waiting.get(sku, ()) if off), Decimal(0))
            for sku, count in there.items()
        }
        return [
            Item(
                sku=alert.sku,
                name=alert.name,
                warehouse=alert.warehouse,
                quantity=alert.quantity,
                minimum=alert.minimum,
                target=alert.target,
                cover=days_of_cover(
                    there.get(alert.sku, alert.quantity), ordered.get(alert.sku, Decimal(0)), self.stock.days
                ),
                days=self.stock.days,
                risk=at_risk(lying.get(alert.sku, alert.quantity), waiting.get(alert.sku, [])),
                gone=alert.closed_why == "gone",
            )
            for alert in alerts
        ]


@dataclass
class Teller:
    """One buyer, now."""

    context: Context
    buyer: BuyerSettings
    told: Told
    now: datetime

    def go(self) -> int:
        """Send what this buyer is to get now. How many letters."""
        here = self.now.astimezone(ZoneInfo(self.buyer.zone))
        if self.buyer.quiet is not None and within(here.time(), self.buyer.quiet):
            return 0
        return self._digest(here) + (self._at_once(here) if self.buyer.at_once else 0)

    # -- at once ---------------------------------------------------------------------------------------------------

    def _at_once(self, here: datetime) -> int:
        every = timedelta(seconds=self.buyer.every)
        if self.told.told_at is not None and self.now - self.told.told_at < every:
            return 0
        alerts = self._known(self.context.ledger.stock.alerts.untold(self.buyer.name))
        if not alerts:
            return 0
        letter = stockletters.alert(self._items(alerts), self._style(here, alerts))
        send = self._sender(letter, alerts, "low")
        return int(self.context.ledger.stock.alerts.tell(self.buyer.name, alerts, self.buyer.every, send))

    # -- the digest ------------------------------------------------------------------------------------------------

    def _digest(self, here: datetime) -> int:
        day = here.date().isoformat()
        if self.buyer.digest is None or here.time() < self.buyer.digest or self.told.digest_on >= day:
            return 0
        service, name = self.context.ledger.stock.alerts, self.buyer.name
        alerts = self._known(service.listed(owner=name, limit=100_000))
        awake = [alert for alert in reversed(alerts) if not alert.snooze]
        cleared = self._known(service.uncleared(name))
        first = [alert for alert in awake if alert.told_at is None]
        since = self.told.digest_at
        fresh = [alert for alert in awake if since is None or alert.opened_at > since]
        still = [alert for alert in awake if since is not None and alert.opened_at <= since]
        if not awake and not cleared:
            service.digest(name, day, (), (), None)
            return 0
        told, snoozed = [*awake, *cleared], len(alerts) - len(awake)
        parts = [self._items(part) for part in (fresh, still, cleared)]
        letter = stockletters.digest(parts[0], parts[1], parts[2], snoozed, self._style(here, told))
        return int(service.digest(name, day, first, cleared, self._sender(letter, told, f"digest/{day}")))

    # -- both ------------------------------------------------------------------------------------------------------

    def _known(self, alerts: Sequence[StockAlert]) -> list[StockAlert]:
        """Those of sources that are configured."""
        sources = {stock.source for stock in self.context.stocks.values()}
        return [alert for alert in alerts if alert.connection in sources]

    def _items(self, alerts: Sequence[StockAlert]) -> list[Item]:
        """In the order of the alerts. Beyond what a letter lists nothing is looked up."""
        found: dict[int, Item] = {}
        for stock in self.context.stocks.values():
            mine = [alert for alert in alerts[: stockletters.LISTED] if alert.connection == stock.source]
            items = Facts(self.context, stock, self.now).items(mine)
            found |= {alert.id: item for alert, item in zip(mine, items, strict=True)}
        return [found.get(alert.id) or _bare(alert) for alert in alerts]

    def _style(self, here: datetime, alerts: Sequence[StockAlert]) -> Style:
        """The letter's age is that of the oldest reading it speaks of."""
        read = [self.context.ledger.stock.source(source).polled_at for source in {one.connection for one in alerts}]
        oldest = min((moment for moment in read if moment is not None), default=None)
        as_of = oldest.astimezone(here.tzinfo) if oldest is not None else None
        return Style(self.buyer.language, self.buyer.called, as_of)

    def _sender(self, letter: Letter, alerts: Sequence[StockAlert], what: str) -> Callable[[Connection], None]:
        stock = next(one for one in self.context.stocks.values() if one.source == alerts[0].connection)
        ids = ",".join(str(alert.id) for alert in alerts)
        mark = hashlib.blake2b(ids.encode(), digest_size=12).hexdigest()
        moment = int(self.now.timestamp() * 1000) if what == "low" else 0

        def send(connection: Connection) -> None:
            for via in self.buyer.via or stock.via:
                message = NewMessage(
                    key=f"stock/{what}/{self.buyer.name}/{via}/{mark}/{moment}",
                    flow=stock.name,
                    via=via,
                    to=self.buyer.email,
                    name=self.buyer.called,
                    subject=letter.subject,
                    text=letter.text,
                    language=self.buyer.language,
                )
                self.context.ledger.messages.want_on(connection, message)

        return send


def _bare(alert: StockAlert) -> Item:
    return Item(
        sku=alert.sku,
        name=alert.name,
        warehouse=alert.warehouse,
        quantity=alert.quantity,
        minimum=alert.minimum,
        target=alert.target,
        gone=alert.closed_why == "gone",
    )
