"""KommerceServer's files to the common language, and back."""

from mapping.kommerce.columns import (
    CONTACTS,
    CUSTOMERS,
    INVENTORY,
    INVOICES,
    LAYOUTS,
    MAX_COLUMNS,
    MAX_SEQUENCE,
    PRECEDENCE,
    REGIONS,
    FileName,
    Layout,
    Mode,
)
from mapping.kommerce.rows import cells_raw, fields_from_kommerce, stored_cells

__all__ = [
    "CONTACTS",
    "CUSTOMERS",
    "INVENTORY",
    "INVOICES",
    "LAYOUTS",
    "MAX_COLUMNS",
    "MAX_SEQUENCE",
    "PRECEDENCE",
    "REGIONS",
    "FileName",
    "Layout",
    "Mode",
    "cells_raw",
    "fields_from_kommerce",
    "stored_cells",
]
