"""WooCommerce's words (REST v3; webhooks carry the same) to the common language."""

from mapping.woocommerce.delivery import in_a_hurry
from mapping.woocommerce.metadata import Metadata
from mapping.woocommerce.order import MAX_LINES, STATUSES, WooOptions, order_from_woocommerce, read_from_woocommerce
from mapping.woocommerce.refunds import refund_from_woocommerce

__all__ = [
    "MAX_LINES",
    "STATUSES",
    "Metadata",
    "WooOptions",
    "in_a_hurry",
    "order_from_woocommerce",
    "read_from_woocommerce",
    "refund_from_woocommerce",
]
