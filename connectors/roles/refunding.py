"""A store that tells what its refunds are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from core.keys import Change, Key
from mapping.canonical import Refund

REFUND: Final = "refund"
"""The kind of their records."""


def refund_key(order: Key, refund_id: str) -> Key:
    """The record of one refund of this order."""
    return Key(order.connection, REFUND, f"{order.id}/{refund_id}")


@runtime_checkable
class Refunding(Protocol):
    """A store whose orders name their refunds by amount alone, and which can be asked for the rest. A refund is never changed,
    only made or deleted: it is asked for once.
    """

    def refunds(self, key: Key) -> Sequence[Change]:
        """All refunds of this order as they are now, with keys by `refund_key`. Raises `NotThere`."""
        ...

    def refund(self, key: Key, raw: bytes) -> Refund:
        """Map raw to canonical, `parts` included; raises `Held` with the field at fault."""
        ...
