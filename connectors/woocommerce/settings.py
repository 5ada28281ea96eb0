"""What a WooCommerce connection is told."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from connectors.roles import Numbering
from core.secrets import SecretRef
from core.settings import ConnectionSettings
from mapping.canonical.order import OrderStatus
from mapping.fields import FieldRule
from mapping.woocommerce import Metadata


def _address(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address begins with https:// (or http://), for example https://shop.example")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("the address has no user, `?` or `#`; keys go into consumer_key and consumer_secret")
    return url.strip().rstrip("/")


class WooCommerceSettings(ConnectionSettings):
    """`[[connection]] connector = "woocommerce"`."""

    sells_by_quantity: ClassVar[bool] = True

    connector: Literal["woocommerce"] = "woocommerce"
    url: Annotated[str, AfterValidator(_address)]
    """The shop's address, without `/wp-json`."""
    consumer_key: SecretRef
    consumer_secret: SecretRef
    webhook_secrets: tuple[SecretRef, ...] = ()
    """All that are valid at present (two while one replaces the other). None: the shop cannot reach us, we only ask
    it."""
    deliver_to: Annotated[str, AfterValidator(lambda url: _address(url) if url else "")] = ""
    """Our own address as the shop sees it, without `/hooks`: `doctor` compares the webhooks with it and creates them with it."""
    numbers: Numbering = "auto"
    """sequential: a missing order number is a missing order. auto: so it is where a plugin numbers the orders; the ids that
    WooCommerce itself gives are shared with products, pages and pictures, and prove nothing."""
    auth: Literal["auto", "basic", "oauth1"] = "auto"
    """auto: Basic over https, OAuth 1.0a over plain http (WooCommerce takes nothing else there)."""
    verify_tls: bool = True
    look_back: float = Field(default=7.0, ge=0, le=3650)
    """Days: how far back the first poll goes."""
    overlap: float = Field(default=900.0, ge=0, le=86_400)
    """Seconds before the newest modification seen that each poll reads again."""
    per_page: int = Field(default=100, ge=1, le=100)
    """WooCommerce answers 400 to more than 100."""
    metadata: Metadata = Metadata()
    statuses: dict[str, OrderStatus] = Field(default_factory=dict)
    """The shop's own status words (of plugins), over the built-in table."""
    shipped: tuple[str, ...] = ("completed", "shipped")
    """Status words of orders whose goods have left."""
    delivered: tuple[str, ...] = ("delivered",)
    """Status words of orders that the customer has."""
    rush_methods: tuple[str, ...] = ()
    """Codes of delivery methods that make an order a rush order (`express`), beside its meta data."""
    channel: str = "web"
    """Where the order's meta data names none."""
    fields: dict[str, FieldRule] = Field(default_factory=dict)
    """Custom fields of the target; see mapping/fields.py."""
    region: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    """ISO country for phone numbers in custom fields."""
