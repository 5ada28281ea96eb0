"""By which day orders are promised, when they are late, and who is told (docs/orders.md, "Delivery watch")."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from core.emails import fold_email
from core.sections import Section, known_zone

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _holiday(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _exists(value: str) -> str:
    try:
        date.fromisoformat(value if len(value) > 5 else f"2000-{value}")  # 2000 has a 29th of February
    except ValueError:
        raise ValueError(f"{value} is no day; write 2026-12-24, or 12-24 for every year") from None
    return value


Holiday = Annotated[
    str,
    BeforeValidator(_holiday),
    StringConstraints(pattern=r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_exists),
]
"""`2026-04-06`, or `12-25` in every year."""


class PromiseRule(Section):
    """One `[[flow.promise.rule]]`: orders of these methods, placed on these days, are promised so many workdays later."""

    methods: tuple[str, ...] = ()
    """The store's codes of delivery methods (`flat_rate`); empty: all."""
    weekdays: tuple[Weekday, ...] = ()
    """The days on which it is placed; empty: all."""
    rush: bool | None = None
    """true: rush orders only; false: all but those."""
    days: int = Field(ge=0, le=366)
    """Workdays after the one on which the order counts as placed; 0: that same day."""
    cutoff: time | None = None
    """What is placed at this time or later counts for the next workday; none: the section's."""


class PromiseSettings(Section):
    """`[flow.promise]`: the promise of an order whose store names none (the ERP's, else a rule's), and what happens when one is
    not kept.
    """

    erp: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = ""
    """ERP connection whose sales tell the day where the store names none; "": none."""
    erp_poll: float = Field(default=300.0, ge=0, le=86_400)
    """Seconds between two looks for the ERP's sales; 0: never by itself."""
    zone: str = "UTC"
    """Time zone of days and times, like Europe/Rome."""
    workdays: tuple[Weekday, ...] = Field(default=WEEKDAYS[:5], min_length=1)
    """Days on which goods leave and arrive."""
    holidays: tuple[Holiday, ...] = ()
    cutoff: time | None = None
    """What is placed at this time or later counts for the next workday; none: midnight."""
    counts_from: Literal["placed", "paid"] = "placed"
    """paid: nothing is promised before the money is there."""
    rule: tuple[PromiseRule, ...] = ()
    """The first that fits counts; an order that none fits is promised nothing."""
    margin: int = Field(default=1, ge=0, le=60)
    """Workdays before the promised day by whose end the goods must have left: else the promise is at risk. Never before the end
    of the workday on which the order was placed.
    """
    proof: Literal["shipped", "delivered"] = "shipped"
    """What keeps a promise: that the goods left by that day, or that the customer has them. delivered: only where the store, a
    tracking plugin or the CRM tells of it."""
    task: bool = True
    """A note for the rep on the customer's account in the CRM, once for each promise."""
    via: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = ""
    """The connection that carries messages; "": nobody is written to."""
    tell: tuple[str, ...] = ()
    """E-mail addresses that are told where the rep's is not known."""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return known_zone(value)

    @field_validator("tell")
    @classmethod
    def _addresses(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for address in value:
            if not fold_email(address):
                raise ValueError(f"{address} is not an e-mail address")
        if value and not info.data.get("via", ""):
            raise ValueError("nothing carries these messages; name a connection in via")
        return value
