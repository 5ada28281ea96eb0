"""For people who want to look: what a record became and why, what would be sent, what stands there. Nothing here writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from connectors.roles.crm import OrderRefs
from mapping.canonical import SalesOrder
from mapping.fields import Mapped


@runtime_checkable
class Readable(Protocol):
    """A store whose orders can be looked at field by field."""

    def read(self, value: Mapping[str, Any]) -> SalesOrder:
        """As `order` does, over the parsed record and with its sums as they stand, whether they balance or not: to look at,
        never to post. Raises `Held`.
        """
        ...

    def custom(self, value: Mapping[str, Any]) -> Sequence[Mapped]:
        """The configured custom fields of this record, each with its path and steps. Raises `Held`."""
        ...


@runtime_checkable
class Previewed(Protocol):
    """A CRM that tells what it would send, and what stands there."""

    def order_payload(self, order: SalesOrder, refs: OrderRefs) -> Mapping[str, Any]:
        """The fields of an order as `create_order` would send them; calls nobody: products that would be asked for stand in
        for themselves. Raises `Held` naming the field that cannot be made.
        """
        ...

    def preview(self, operation: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields that a write (create_account, create_contact, create_order, update_order, create_invoice, stamp_order)
        would send with these arguments. Asks where the write itself would ask; writes nothing.
        """
        ...

    def standing(self, record_id: str) -> Mapping[str, Any] | None:
        """Every field of a record as it is over there now; None: it is gone."""
        ...

    def fixed(self) -> Mapping[str, str]:
        """Fields of an order that follow neither the order nor the flow: where each comes from, in words."""
        ...


@runtime_checkable
class Repeatable(Protocol):
    """A system whose calls people may want to make by hand."""

    def curl(self, operation: str, method: str, path: str) -> Sequence[str]:
        """Arguments of curl for a call like the recorded one. `$NAMES` stand where secrets and bodies were."""
        ...
