"""HTTP in: deliveries from stores, health and metrics. The dashboard and the portal come into this room too."""
