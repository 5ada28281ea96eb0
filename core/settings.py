"""What can be configured, apart from what only one connector knows (its own `settings.py`)."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, SerializeAsAny, StringConstraints, ValidationInfo, field_validator

from core.errors import ConfigurationProblem
from core.keepsettings import KeepSettings
from core.papersettings import PaperSettings, SellerSettings
from core.promisesettings import PromiseSettings
from core.secrets import SecretRef
from core.sections import Name, Section, known_zone
from core.stocksettings import BuyerSettings, StockSettings

__all__ = [
    "BuyerSettings",
    "KeepSettings",
    "Name",
    "PaperSettings",
    "PromiseSettings",
    "Section",
    "SellerSettings",
    "StockSettings",
    "known_zone",
]


class ConnectionSettings(Section):
    """What every `[[connection]]` has. A connector's own model inherits from it."""

    moves_stock_on_invoice: ClassVar[bool] = False
    """Whether such a system takes the goods of an invoice off its stock by itself."""
    letters: ClassVar[Literal["", "mail", "chat"]] = ""
    """Whether such a connection carries letters to people, and of which kind (connectors.roles.Messenger)."""
    tells_promises: ClassVar[bool] = False
    """Whether such a system can tell the promised days of its sales (connectors.roles.Promising)."""
    sells_by_quantity: ClassVar[bool] = False
    """Whether such a store can be told how much of each article may be sold (connectors.roles.Selling)."""
    name: Name
    connector: str
    connect_timeout: float = Field(default=5.0, gt=0, le=60)
    """Seconds."""
    read_timeout: float = Field(default=30.0, gt=0, le=300)
    """Seconds."""
    hold: float = Field(default=120.0, ge=0, le=3600)
    """Seconds to wait after an unanswered write before looking whether it arrived; at least the system's longest
    processing time."""
    rate: float | None = Field(default=None, ge=0.1, le=1000)
    """Calls a second that all workers together may make; none: as many as they can."""
    burst: float | None = Field(default=None, ge=1, le=10_000)
    """Calls that may come at once after a quiet time; none: what one second brings, at least one."""

    @field_validator("burst")
    @classmethod
    def _burst_of_a_rate(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("rate", 0) is None:
            raise ValueError("burst says nothing without rate; write rate as well, or leave burst out")
        return value

    @property
    def at_once(self) -> float:
        """`burst`, or what stands for it."""
        return self.burst if self.burst is not None else max(1.0, self.rate or 0.0)


class LedgerSettings(Section):
    """Where the durable memory lives."""

    url: str = "sqlite:///orderwire.db"
    """`sqlite:///file` or `postgresql+psycopg://user@host/db`. A password goes into `password`, not here."""
    password: SecretRef | None = None
    lease: float = Field(default=60.0, ge=1, le=3600)
    """Seconds that a job belongs to the worker that claimed it, renewed while it runs."""


class WorkerSettings(Section):
    """How many jobs run at a time."""

    threads: int = Field(default=8, ge=1, le=64)
    broker: str = ""
    """`redis://host:port/0`; empty: in-process. A password goes into `broker_password`, not here."""
    broker_password: SecretRef | None = None
    tick: float = Field(default=1.0, gt=0, le=60)
    """Seconds between two rounds of the ticker."""
    max_failures: int = Field(default=8, ge=1, le=100)
    """So many failures of its own hold a job."""
    metrics: str = ""
    """`address:port` at which `orderwire worker` tells its counts to Prometheus, like 127.0.0.1:9464; empty: nowhere."""

    @field_validator("metrics")
    @classmethod
    def _address_and_port(cls, value: str) -> str:
        if value:
            address_and_port(value)
        return value

    @property
    def metrics_at(self) -> tuple[str, int] | None:
        """Address and port; None: nowhere."""
        return address_and_port(self.metrics) if self.metrics else None


def address_and_port(text: str) -> tuple[str, int]:
    """`127.0.0.1:9464` or `[::1]:9464` in its two parts; a port alone is on this machine only. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or not 0 <= int(port) <= 65_535:
        raise ValueError(f"{text} names no port; write it like 127.0.0.1:9464")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


class WebSettings(Section):
    """The web process."""

    host: str = "127.0.0.1"
    port: int = Field(default=8700, ge=0, le=65535)
    max_body: int = Field(default=1024 * 1024, ge=1024)
    """Bytes of a delivery."""


OrderWord = Literal[
    "draft", "pending", "on_hold", "confirmed", "completed", "cancelled", "refunded", "failed", "deleted", "unknown"
]
"""Where an order stands, in the common language (mapping.canonical.OrderStatus)."""
PaymentWord = Literal["unpaid", "paid", "refunded", "unknown"]
"""Whether money came in, in the common language (mapping.canonical.PaymentStatus)."""


class AlertSettings(Section):
    """Whom to tell, and when."""

    to: tuple[Name, ...] = ()
    """Connections that are notifiers (`smtp`, `webhook`). Empty: alerts are kept and shown, nobody is told."""
    every: float = Field(default=60.0, ge=1, le=3600)
    """Seconds between two messages at least: what happens in between is told in one."""
    quiet: tuple[time, time] | None = None
    """From, until: only critical alerts are told then. `["22:00", "07:00"]`."""
    zone: str = "UTC"
    """Time zone of `quiet`, like Europe/Rome."""
    heartbeat: str = ""
    """An address that is called every minute while all is well (a dead man's switch elsewhere); empty: none."""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return known_zone(value)

    @field_validator("heartbeat")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("the address begins with https:// (or http://)")
        return value


class ImportRules(Section):
    """Which orders travel. An order that does not is `skipped`, with the rule's name."""

    statuses: tuple[OrderWord, ...] = (
        "pending",
        "on_hold",
        "confirmed",
        "completed",
        "cancelled",
        "refunded",
        "unknown",
    )
    payment: tuple[PaymentWord, ...] = ("unpaid", "paid", "refunded", "unknown")
    channels: tuple[str, ...] = ()
    """Empty: all."""
    minimum: Decimal | None = None
    """Orders of a smaller total are skipped."""


class MethodTable(Section):
    """A store's codes to the CRM's words. An unknown code gets `default` and a counted warning."""

    default: str = ""
    table: dict[str, str] = Field(default_factory=dict)


Owner = Literal["store", "crm", "empty", "ask"]
"""Who wins when an order is updated; empty: the store, but only where the CRM has nothing; ask: whoever changed it, and a
person where both did."""


class OwnershipRules(Section):
    """Whose each part of an order is once it stands in the CRM. Creating an order always sends everything."""

    status: Owner = "store"
    owner: Owner = "crm"
    """crm: whom people gave the order to keeps it."""
    contact: Owner = "store"
    account: Owner = "store"
    billing: Owner = "ask"
    shipping: Owner = "ask"
    """The delivery address."""
    delivery_method: Owner = "ask"
    payment_method: Owner = "ask"
    notes: Owner = "store"
    """The description."""
    purchase_order: Owner = "ask"
    subject: Owner = "store"
    """What people call the order over there."""
    custom: Owner = "store"
    """Configured custom fields."""
    lines: Owner = "ask"
    """All of the money: lines, taxes, shipping, currency."""

    def parts(self, owner: Owner) -> frozenset[str]:
        """The parts that belong to this owner."""
        return frozenset(part for part in type(self).model_fields if getattr(self, part) == owner)


class AdoptSettings(Section):
    """How orders that people typed into the CRM are recognised (mapping.adoption)."""

    fields: tuple[Literal["purchase_order", "subject", "customer_number"], ...] = (
        "purchase_order",
        "subject",
        "customer_number",
    )
    """Fields of the CRM's orders in which people note the store's order number."""
    days: int = Field(default=7, ge=0, le=366)
    """Days that the two dates may be apart."""
    tolerance: Decimal = Field(default=Decimal(0), ge=0)
    """Money that the two totals may differ by."""


class RefundSettings(Section):
    """What becomes of money that went back to the customer."""

    order: Literal["lines", "note"] = "lines"
    """lines: on the order as negative lines, its total falls. note: the order stays as it was sold, a sentence names them."""
    invoice: Literal["credit", "leave"] = "credit"
    """credit: a credit note for each refund of what was invoiced. leave: none."""


CancelWord = Literal["cancel", "credit", "hold"]
"""cancel: the order and its invoice are cancelled. credit: the order is cancelled, the invoice stays and a credit note takes
back what is left of it. hold: a person decides."""


class CancelSettings(Section):
    """What becomes of an order that the store calls off too late. One that is neither invoiced nor shipped is cancelled."""

    invoiced: CancelWord = "hold"
    shipped: CancelWord = "hold"


class FlowSettings(Section):
    """One `[[flow]]`: a pipeline between two connections."""

    name: Name
    pipeline: Literal["orders"] = "orders"
    source: Name
    target: Name
    queue: Literal["live", "sync", "backfill"] = "live"
    poll: float = Field(default=300.0, ge=0, le=86_400)
    """Seconds between two polls of the source; 0: never."""
    poll_crm: float = Field(default=60.0, ge=0, le=86_400)
    """Seconds between two questions to the target for what people changed there; 0: never."""
    match: tuple[Literal["erp_number", "vat", "email", "phone", "company"], ...] = (
        "erp_number",
        "vat",
        "email",
        "phone",
        "company",
    )
    """In this order; "linked before" always comes first."""
    guests: Literal["match", "lead", "hold"] = "match"
    """match: by the rules, else new. lead: by e-mail only, else new. hold: by the rules, else held for a person."""
    invoices: Literal["never", "on_order", "on_paid", "on_delivered", "from_erp"] = "never"
    """When the CRM gets an invoice of the order's own lines; from_erp: the ERP's, with its number and lines, and no other."""
    invoices_from: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = ""
    """ERP connection whose invoices belong to these orders: their status and payments are shown with them; "": none."""
    invoices_poll: float = Field(default=300.0, ge=0, le=86_400)
    """Seconds between two looks for the ERP's invoices; 0: never by itself."""
    invoices_wait: float = Field(default=86_400.0, ge=0, le=30 * 86_400)
    """Seconds that an invoice of the ERP waits for the order it names."""
    invoices_unknown: Literal["hold", "skip"] = "hold"
    """What becomes of it then: held for a person, or set aside."""
    owner: str = ""
    """Owner of what is created, a name in the CRM connection's owners table (user or group)."""
    owner_by: Literal["placed_by", "fixed"] = "placed_by"
    """placed_by: the rep who placed the order where the order says so, else `owner`."""
    rules: ImportRules = ImportRules()
    statuses: dict[OrderWord, str] = Field(default_factory=dict)
    """Canonical order status -> the CRM's word, over the connector's own table."""
    delivery: MethodTable = MethodTable()
    payment: MethodTable = MethodTable()
    refunds: RefundSettings = RefundSettings()
    cancel: CancelSettings = CancelSettings()
    delivered: tuple[str, ...] = ("Delivered",)
    """The CRM's words for an order that the customer has."""
    shipped: tuple[str, ...] = ()
    """The CRM's words for an order whose goods have left."""
    called_off: tuple[str, ...] = ("Cancelled",)
    """The CRM's words for an order of which nothing will be delivered."""
    promise: PromiseSettings | None = None
    """By which day orders are promised, and who is told when that is not kept. None: what the store promises is shown alone."""
    rush_target: float = Field(default=60.0, ge=0, le=86_400)
    """Seconds within which a rush order must be in the target: else an alert; 0: none."""
    ownership: OwnershipRules = OwnershipRules()
    papers: PaperSettings = PaperSettings()
    """Which papers are sent to customers."""
    write_back: bool = False
    """Write our external id onto orders that are adopted. The only thing that adopting ever writes into the CRM."""
    adopt: AdoptSettings = AdoptSettings()
    max_lines: int = Field(default=500, ge=1, le=10_000)
    region: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    """ISO country for phone numbers without a country code where the address has none."""


Origin = Annotated[str, StringConstraints(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")]
"""As browsers name it: `https://shop.example`, without a path."""


SHORTEST_PORTAL_SECRET: Final = 32
"""Characters; RFC 7518 asks for a key as long as the digest."""


class PortalTeam(Section):
    """Whom a card shows when nobody is assigned, or nobody is known of who asks."""

    name: str = Field(min_length=1, max_length=200)
    title: str = ""
    email: str = ""
    phone: str = Field(default="", validate_default=True)

    @field_validator("phone")
    @classmethod
    def _can_be_reached(cls, value: str, info: ValidationInfo) -> str:
        if not value.strip() and not str(info.data.get("email", "")).strip():
            raise ValueError(
                "give the team an email, a phone, or both: its card is what customers see who have nobody else"
            )
        return value


class PortalSettings(Section):
    """One `[[portal]]`: a shop or portal that shows its customers the card of their reps (docs/portal.md)."""

    name: Name
    """`iss` of its tokens."""
    source: Name
    """The ERP connection whose customers ask."""
    store: str = ""
    """The store connection whose users its tokens may name instead of a customer number: `shop/user/55`; empty: none."""
    secrets: tuple[SecretRef, ...] = Field(min_length=1)
    """All that are valid at present, each of 32 characters at least; answers are signed with the one that signed the token."""
    audience: str = Field(default="orderwire", min_length=1, max_length=200)
    """`aud` of its tokens: another word for each installation that shares a secret with it."""
    lifetime: float = Field(default=300.0, ge=30, le=3600)
    """Seconds that a token may be valid at most."""
    origins: tuple[Origin, ...] = ()
    """Whose pages may ask from the browser. Empty: none, the shop's server asks."""
    public_url: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    """Where browsers reach Orderwire, for the form of the fragment, which the shop's server may fetch elsewhere; empty: the
    address that was asked."""
    per_minute: int = Field(default=60, ge=1, le=10_000)
    """Cards that one customer may ask for in a minute."""
    requests: bool = True
    """The card offers "call me" and "write to me"."""
    team: PortalTeam
    roles: dict[str, str] = Field(default_factory=dict)
    """What roles are called to customers: `{ inside = "Innendienst" }`."""


class RepFlowSettings(Section):
    """One `[[reps]]`: sales reps from an ERP to the CRM's owners and the customers' cards."""

    name: Name
    source: Name
    """Connection with the role erp."""
    target: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = ""
    """CRM whose owners follow; "": cards only."""
    portals: tuple[Name, ...] = ()
    """Connections that are told cards (role portal)."""
    queue: Literal["sync", "backfill"] = "sync"
    """Never live: reps must not slow orders."""
    poll: float = Field(default=60.0, ge=0, le=86_400)
    """Seconds between two polls of the ERP; 0: never."""
    ownership: Literal["erp", "crm", "empty"] = "erp"
    """Who wins where a record in the CRM has another owner. crm: whom a person chose there keeps it, what we gave away
    follows. empty: only records of nobody (our own login, `nobody`) are given away, once."""
    assign: tuple[Literal["account", "contact", "order"], ...] = ("account", "contact", "order")
    """What is given to the rep: the account, its contacts, its open orders."""
    owner: str = ""
    """Owner in the CRM of customers whose rep has no name there, or whom nobody serves; "": they stay as they are."""
    nobody: tuple[str, ...] = ()
    """Names in the CRM connection's owners table that count as nobody's choice, beside our own login."""
    zone: str = "UTC"
    """Time zone whose midnight begins a day for dated assignments and absences, like Europe/Rome."""
    region: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    """ISO country for phone numbers without a country code."""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return known_zone(value)


class Settings(Section):
    """The whole configuration (`core.config` reads it)."""

    ledger: LedgerSettings = LedgerSettings()
    worker: WorkerSettings = WorkerSettings()
    web: WebSettings = WebSettings()
    alerts: AlertSettings = AlertSettings()
    seller: SellerSettings = SellerSettings()
    keep: KeepSettings = KeepSettings()
    connections: tuple[SerializeAsAny[ConnectionSettings], ...] = ()
    """Each of its connector's own model."""
    flows: tuple[FlowSettings, ...] = ()
    portals: tuple[PortalSettings, ...] = ()
    reps: tuple[RepFlowSettings, ...] = ()
    stocks: tuple[StockSettings, ...] = ()
    buyers: tuple[BuyerSettings, ...] = ()

    def connection(self, name: str) -> ConnectionSettings:
        """The connection of this name; raises ConfigurationProblem."""
        for connection in self.connections:
            if connection.name == name:
                return connection
        raise ConfigurationProblem(
            f"There is no connection named {name!r}. What to do: use one of "
            f"{', '.join(connection.name for connection in self.connections) or 'none, for none is configured yet'}."
        )
