"""The documented JSON Schema of the order form, made from the models that check it.

`python -m connectors.orderform.schema` writes schema.json anew after a change of mapping/orderform.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from mapping.orderform import FormDelivery

SCHEMA: Final = Path(__file__).with_name("schema.json")
EXAMPLE: Final = Path(__file__).with_name("example.json")


def document() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) with its title, an explanation and a whole example."""
    schema = FormDelivery.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Orderwire order form, version 1",
        "description": (
            "One order as a web store sends it to POST /hooks/<connection>, signed by Standard Webhooks (headers webhook-id, "
            "webhook-timestamp, webhook-signature). Amounts are text with a point, up to 12 decimals; JSON numbers are accepted "
            "and read exactly. All amounts exclude tax. An order must balance: "
            "lines + fees + shipping + their tax = totals.total."
        ),
        **{name: value for name, value in schema.items() if name not in {"title", "description"}},
        "examples": [json.loads(EXAMPLE.read_text(encoding="utf-8"))],
    }


def text() -> str:
    """The file's content."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text(), encoding="utf-8")
