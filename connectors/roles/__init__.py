"""The roles that outside systems play, as small Protocols. A system implements the ones it can play."""

from connectors.roles.common import (
    Action,
    Addressed,
    Difference,
    Finding,
    Level,
    Page,
    Ref,
    Written,
)
from connectors.roles.crm import (
    OWNED,
    USUAL,
    Converted,
    Crm,
    CrmCapabilities,
    CrmOrder,
    CrmOrderRow,
    CrmProduct,
    OrderRefs,
    Ownership,
    PartyPage,
    RecordKind,
    Stamp,
    Tier,
)
from connectors.roles.erp import Erp, ErpKind
from connectors.roles.notifier import (
    Message,
    Notifier,
)
from connectors.roles.store import (
    Numbering,
    Repair,
    Request,
    Store,
)

__all__ = [
    "OWNED",
    "USUAL",
    "Action",
    "Addressed",
    "Converted",
    "Crm",
    "CrmCapabilities",
    "CrmOrder",
    "CrmOrderRow",
    "CrmProduct",
    "Difference",
    "Erp",
    "ErpKind",
    "Finding",
    "Level",
    "Message",
    "Notifier",
    "Numbering",
    "OrderRefs",
    "Ownership",
    "Page",
    "PartyPage",
    "RecordKind",
    "Ref",
    "Repair",
    "Request",
    "Stamp",
    "Store",
    "Tier",
    "Written",
]
