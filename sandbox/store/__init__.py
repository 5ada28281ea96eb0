"""A small web store: an order form for people, and a WooCommerce face for machines."""
