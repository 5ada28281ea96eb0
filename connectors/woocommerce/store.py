"""WooCommerce in the role of a store (connectors.roles.Store). Of the shop's records it writes
nothing but how much of an article there is (selling.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.http import Http
from connectors.roles import REFUND, Finding, Numbering, Offer, Page, Repair, Request, Shelf, StockPage, refund_key
from connectors.woocommerce import hooks, stock
from connectors.woocommerce.changes import fetched, id_of, number_of
from connectors.woocommerce.checks import Checks
from connectors.woocommerce.client import Client
from connectors.woocommerce.selling import Counter
from connectors.woocommerce.settings import WooCommerceSettings
from connectors.woocommerce.subscriptions import Subscriptions
from connectors.woocommerce.walk import AHEAD, BY_CREATED, BY_MODIFIED, SECOND, By, Step, Walk, wire_time
from core.clock import Clock, parse_utc
from core.errors import ConfigurationProblem, Held, NotThere
from core.keys import Change, Key
from mapping.canonical.order import Refund, SalesOrder
from mapping.fields import CustomFields, Mapped
from mapping.reading import fault
from mapping.stored import of_record, stored
from mapping.woocommerce import (
    WooOptions,
    in_a_hurry,
    order_from_woocommerce,
    read_from_woocommerce,
    refund_from_woocommerce,
)

# `any` leaves trashed orders out, and combined with other words it wins: two listings, each with its own place in the
# cursor.
LISTINGS: Final = ("any", "trash")
PAGE_OF_REFUNDS: Final = 100
MOST_PAGES: Final = 10
_PATHS: Final = {"order": "orders", "customer": "customers", "product": "products", "coupon": "coupons"}


class WooCommerce:
    """A shop. Safe to share between threads."""

    pollable = True

    def __init__(self, settings: WooCommerceSettings, http: Http | None, clock: Clock) -> None:
        if http is None:
            raise ConfigurationProblem("A WooCommerce connection needs a transport. What to do: report this as a bug.")
        self.name = settings.name
        self._settings = settings
        self._http = http
        self._client = Client(http)
        self._clock = clock
        self._subscriptions = Subscriptions(self._client, settings)
        self._counter = Counter(self._client)
        self._checks = Checks(self._client, settings, self._subscriptions, clock)
        self._options = WooOptions(
            connection=settings.name,
            metadata=settings.metadata,
            statuses=settings.statuses,
            fields=CustomFields(settings.fields, region=settings.region),
            channel=settings.channel,
            shipped=settings.shipped,
            delivered=settings.delivered,
            rush_methods=settings.rush_methods,
        )

    def close(self) -> None:
        """Close the transport."""
        self._http.close()

    def _hurried(self, row: object) -> bool:
        """Whether the order is a rush order."""
        settings = self._settings
        return isinstance(row, Mapping) and in_a_hurry(row, settings.metadata, settings.rush_methods)

    def web_page(self, kind: str, record_id: str) -> str:
        """In the shop's administration; shops that keep orders in tables of their own lead on from there."""
        if kind != "order" or not record_id.isdecimal():
            return ""
        return f"{self._settings.url}/wp-admin/post.php?post={record_id}&action=edit"

    def curl(self, operation: str, method: str, path: str) -> Sequence[str]:
        """One call of the REST interface; the key is left to be filled in."""
        key = ["--user", "$CONSUMER_KEY:$CONSUMER_SECRET"]
        return ["--request", method, f"{self._settings.url}/wp-json/wc/v3/{path}", *key]

    def accepts_deliveries(self) -> bool:
        return bool(hooks.live_secrets(self._settings.webhook_secrets))

    def receive(self, request: Request) -> Sequence[Change]:
        return hooks.receive(self.name, request, self._settings.webhook_secrets, self._hurried)

    def changes_since(self, cursor: str | None, *, until: datetime | None = None) -> Iterator[Page]:
        places = self._places(cursor)
        overlap = max(timedelta(seconds=self._settings.overlap), SECOND)
        for status in LISTINGS:
            walk = self._walk(BY_MODIFIED, status, places[status] - overlap, until)
            for step in walk.steps():
                if step.seen_to is not None:
                    places[status] = max(places[status], step.seen_to)
                if step.rows:
                    yield self._page(step, _cursor(places))

    def stock_since(self, cursor: str | None) -> Iterator[StockPage]:
        settings = self._settings
        return stock.since(
            self._client,
            self.name,
            cursor,
            overlap=settings.overlap,
            per_page=settings.per_page,
            now=self._clock.now,
        )

    def shelves(self, skus: Sequence[str]) -> Mapping[str, Shelf]:
        return self._counter.shelves(skus)

    def parcels(self, offers: Sequence[Offer]) -> Sequence[Sequence[Offer]]:
        return self._counter.parcels(offers)

    def put_out(self, parcel: Sequence[Offer]) -> Mapping[str, str]:
        return self._counter.put_out(parcel)

    def orders_between(self, since: datetime, until: datetime) -> Iterator[Page]:
        ceiling = until if not until.microsecond else until.replace(microsecond=0) + SECOND
        walk = self._walk(BY_CREATED, "any", since.astimezone(UTC) - SECOND, ceiling)
        for step in walk.steps():
            wanted = [row for row in step.rows if _within(row, since, until)]
            if wanted:
                page = Step(wanted, step.seen_to, step.asked_at, step.total)
                yield self._page(page, wire_time(step.seen_to or since))

    def fetch(self, key: Key) -> Change:
        path = _PATHS.get(key.kind)
        if path is None or not (key.id.isascii() and key.id.isdigit()):
            raise NotThere(
                f"{key} is not a record of this shop. What to do: check the number.", detail="not a WooCommerce id"
            )
        asked_at = self._clock.now()
        answer = self._client.get(f"{path}.get", f"{path}/{key.id}")
        change = fetched(self.name, key.kind, answer.body, asked_at)
        if change.problem:
            raise Held(f"{key}: {change.problem}", error_class="mapping")
        return change

    def refunds(self, key: Key) -> Sequence[Change]:
        found: list[Change] = []
        for page in range(1, MOST_PAGES + 1):
            asked_at = self._clock.now()
            rows = self._client.get_rows(
                "refunds.list", f"orders/{key.id}/refunds", {"per_page": PAGE_OF_REFUNDS, "page": page}
            ).body
            for change in (fetched(self.name, REFUND, row, asked_at) for row in rows):
                own = change if change.problem else replace(change, key=refund_key(key, change.key.id))
                found.append(own)
            if len(rows) < PAGE_OF_REFUNDS:
                break
        return found

    def refund(self, key: Key, raw: bytes) -> Refund:
        refund = refund_from_woocommerce(stored(raw, "have the order sent again"))
        if not key.id.endswith(f"/{refund.id}"):
            raise fault("refunds.id", refund.id, f"is not the id of this record ({key.id})", "report this as a bug")
        return refund

    def find_by_number(self, number: str) -> Change | None:
        wanted = number.strip().lstrip("#")
        if wanted.isascii() and wanted.isdigit():
            try:
                change = self.fetch(Key(self.name, "order", str(int(wanted))))
            except NotThere:
                change = None
            if change is not None and change.number == wanted:
                return change
        return self._search(wanted) if wanted else None

    def order(self, key: Key, raw: bytes) -> SalesOrder:
        body = stored(raw, "fetch the order again by its number")
        return of_record(key, order_from_woocommerce(body, self._options), "id")

    def read(self, value: Mapping[str, Any]) -> SalesOrder:
        return read_from_woocommerce(value, self._options)

    def custom(self, value: Mapping[str, Any]) -> Sequence[Mapped]:
        return self._options.fields.explained(value)

    def check(self) -> Sequence[Finding]:
        return self._checks.check()

    def webhook_status(self) -> Sequence[Finding]:
        return self._subscriptions.status()

    def repairs(self, *, renew_secret: bool = False) -> Sequence[Repair]:
        return self._subscriptions.repairs(renew_secret=renew_secret)

    def repair(self, repair: Repair) -> Finding:
        return self._subscriptions.repair(repair)

    def numbering(self, key: Key, number: str) -> Numbering:
        """WooCommerce's own number is the id, which orders share with products, pages and pictures: it has gaps by nature."""
        return "free" if self._settings.numbers == "auto" and number == key.id else self._settings.numbers

    def schema(self) -> Mapping[str, Any] | None:
        return None

    def _walk(self, by: By, status: str, after: datetime, before: datetime | None) -> Walk:
        return Walk(self._client, by, status, after, before, self._settings.per_page, self._clock.now)

    def _page(self, step: Step, cursor: str) -> Page:
        changes = [fetched(self.name, "order", row, step.asked_at, rush=self._hurried(row)) for row in step.rows]
        return Page(changes, cursor, step.total)

    def _search(self, number: str) -> Change | None:
        """Shops with a plugin for order numbers: search, and take the one whose number is exactly this."""
        asked_at = self._clock.now()
        for status in LISTINGS:
            answer = self._client.get_rows(
                "orders.search", "orders", {"search": number, "status": status, "per_page": 100}
            )
            for row in answer.body:
                if id_of(row) is not None and number_of(row) == number:
                    return fetched(self.name, "order", row, asked_at)
        return None

    def _places(self, cursor: str | None) -> dict[str, datetime]:
        """`any=2026-11-22T02:06:00;trash=...`: up to where each listing has been seen."""
        now = self._clock.now()
        places = dict.fromkeys(LISTINGS, now - timedelta(days=self._settings.look_back))
        for part in (cursor or "").split(";"):
            status, _, moment = part.partition("=")
            if status in places:
                try:
                    place = parse_utc(moment)
                except ValueError:
                    continue  # an unreadable place: that listing starts over, which costs reading and nothing else
                if place <= now + AHEAD:  # so does one that an earlier version set behind a day to come
                    places[status] = place
        return places


def _cursor(places: Mapping[str, datetime]) -> str:
    return ";".join(f"{status}={wire_time(place)}" for status, place in places.items())


def _within(row: Mapping[str, Any], since: datetime, until: datetime) -> bool:
    try:
        placed = parse_utc(str(row.get(BY_CREATED.field)))
    except ValueError:
        return True  # without a date it is better read once too often
    return since <= placed < until
