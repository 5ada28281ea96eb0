"""What an order form connection is told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connectors.roles import Numbering
from core.secrets import SecretRef
from core.settings import ConnectionSettings
from mapping.fields import FieldRule


class OrderFormSettings(ConnectionSettings):
    """`[[connection]] connector = "orderform"`."""

    connector: Literal["orderform"] = "orderform"
    webhook_secrets: tuple[SecretRef, ...] = ()
    """Standard Webhooks secrets (`whsec_` and base64), all that are valid at present. None: the endpoint does not
    exist."""
    numbers: Numbering = "auto"
    """sequential: a missing order number is a missing order. auto: so it is where the numbers look like it."""
    channel: str = "web"
    """Where the order names none."""
    fields: dict[str, FieldRule] = Field(default_factory=dict)
    """Custom fields of the target; paths begin at the order (`metadata.cost_centre`). See mapping/fields.py."""
    region: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    """ISO country for phone numbers in custom fields."""
