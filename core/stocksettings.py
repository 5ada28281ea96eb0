"""Where stock levels come from, and who buys in what runs out (docs/stock.md)."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from core.emails import fold_email
from core.sections import Name, Section, known_zone


class StockSettings(Section):
    """One `[[stock]]`: the levels that one connection tells, and whom to tell when they fall."""

    name: Name
    source: Name
    """The connection whose levels count: an ERP, a CRM or a store."""
    poll: float = Field(default=60.0, ge=0, le=86_400)
    """Seconds between two questions for what changed; 0: never."""
    full: float = Field(default=3600.0, ge=60, le=604_800)
    """Seconds between two readings of everything, which finds what the source says nothing of: what is gone."""
    warehouses: tuple[str, ...] = ()
    """Only these of the source's warehouses; empty: all."""
    measure: Literal["available", "on_hand"] = "available"
    """What thresholds are compared with. available: as the source reckons it, where it does; on_hand: what lies there."""
    safety: Decimal = Field(default=Decimal(0), ge=0)
    """Kept back of every article: what is shown as free, and what stores are told, is so much less."""
    publish: tuple[Name, ...] = ()
    """Store connections that are told how much of each article may be sold."""
    publish_age: float = Field(default=3600.0, ge=60, le=604_800, validate_default=True)
    """Seconds: levels that were last true longer ago are told to no store."""
    counts_orders: bool = False
    """The levels are less already by what open orders hold, because the source itself is given every order at once. False: what
    open orders need whose goods are still in these levels is taken off before a store is told."""
    minimum: Decimal | None = None
    """The threshold of what has no other; none: nobody is told of it."""
    reorder_points: bool = True
    """The source's own minimum counts where no threshold of the article is kept here."""
    hysteresis: Decimal = Field(default=Decimal("0.1"), ge=0, le=10)
    """An alert closes by itself at the minimum and this share of it more."""
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Group -> patterns of article numbers (`LAMP-*`), for articles of which the source names no group."""
    days: int = Field(default=30, ge=1, le=366)
    """Days of orders by which the days of cover are reckoned."""
    owner: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = ""
    """The buyer in charge of what has no other owner; "": nobody is told."""
    via: tuple[Name, ...] = ()
    """Connections that carry the messages (`smtp`, `apprise`) to buyers who name none."""
    write_off: Literal["", "status", "invoice", "never"] = ""
    """Of a CRM: how the goods of an order leave its stock. status: taken off by us when the order is in one of `write_off_on`.
    invoice: by the CRM itself with the invoice. never: by nobody here. "": by invoice in flows that make invoices, else by
    status."""
    write_off_on: tuple[str, ...] = ("Delivered",)
    """The CRM's words for an order whose goods have left."""
    write_off_from: date | None = None
    """Goods of orders placed before that day are left alone; none: the day on which the write-off began here."""

    @field_validator("publish_age")
    @classmethod
    def _longer_than_a_poll(cls, value: float, info: ValidationInfo) -> float:
        poll = info.data.get("poll")
        if info.data.get("publish") and poll is not None and not 0 < poll < value:
            raise ValueError(
                f"levels that are asked for every {poll:g} s would be too old; raise it, or ask more often"
            )
        return value


class BuyerSettings(Section):
    """One `[[buyer]]`: who is told when stock falls."""

    name: Name
    """As thresholds name their owner."""
    called: str = Field(default="", max_length=200)
    """How letters address them; "": by no name."""
    email: str = ""
    via: tuple[Name, ...] = ()
    """Connections that carry the messages; empty: those of the `[[stock]]`."""
    language: str = Field(default="", pattern=r"^([a-z]{2}(-[A-Z]{2})?)?$")
    """Of the messages: `de`; "": English."""
    zone: str = "UTC"
    """Time zone of `quiet` and `digest`, like Europe/Rome."""
    quiet: tuple[time, time] | None = None
    """From, until: nothing is sent then. What is still low in the morning is told then. `["18:00", "07:00"]`."""
    at_once: bool = True
    """Told as soon as something falls below its threshold; false: in the digest only."""
    every: float = Field(default=900.0, ge=0, le=86_400)
    """Seconds between two messages at least: what falls meanwhile is told in one. The first goes at once."""
    digest: time | None = Field(default=None, validate_default=True)
    """When the day's digest goes: what is low, what is new, what is well again. `"07:30"`; none: no digest."""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return known_zone(value)

    @field_validator("email")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not fold_email(value):
            raise ValueError(f"{value} is not an e-mail address")
        return value

    @field_validator("digest")
    @classmethod
    def _not_in_quiet_hours(cls, value: time | None, info: ValidationInfo) -> time | None:
        quiet = info.data.get("quiet")
        if value is None and not info.data.get("at_once", True):
            raise ValueError("at_once = false needs a digest: else this buyer is never told anything")
        if value is not None and quiet is not None and within(value, quiet):
            raise ValueError(f"the digest at {value:%H:%M} lies in the quiet hours; let it go when they end, or later")
        return value


def within(moment: time, span: tuple[time, time]) -> bool:
    """Whether a time of day lies in a span that may go over midnight; its end is not part of it."""
    first, last = span
    return first <= moment < last if first <= last else moment >= first or moment < last
