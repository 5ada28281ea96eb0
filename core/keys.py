"""How records are named, and how a system says that one of them changed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One record of one connection, written `shop/order/1001`. `id` may itself contain slashes."""

    connection: str
    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.connection}/{self.kind}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `connection/kind/id`; raises ValueError for anything else."""
        parts = text.split("/", 2)
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"not a record key: {text!r} (expected connection/kind/id)")
        return cls(*parts)


def external_id(*parts: str) -> str:
    """The name under which a record of ours is found again in an outside system.

    Only `[A-Za-z0-9_-]`, because query languages like vtiger's have no bind parameters: such a key needs no escaping.
    Readable where the parts allow it (`shop-order-1001-3f0c`), otherwise a hash. The tail is a digest of the exact parts,
    so that `a-b`,`c` and `a`,`b-c` never meet, nor do two ids that differ in case (outside comparisons often ignore it).
    At most 60 characters.
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    plain = "-".join(parts)
    if _PLAIN.fullmatch(plain) and len(plain) <= 50:
        return f"{plain}-{digest[:8]}"
    return f"ow-{digest[:32]}"


def content_hash(raw: bytes) -> str:
    """A digest of what was received, for telling equal from different."""
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """A system says: this record changed.

    `stamp` is the source's own modification time (aware UTC), None where it gives none.
    `raw` is the record's state exactly as received; None makes the change a hint: the job fetches the state itself.
    `problem` is a sentence for the operator: the delivery was genuine but cannot be understood. Such a change has the key
    `(connection, "delivery", <hash>)`.
    `dedupe` names this very delivery: the same one twice is stored once.
    `number` is what people call the record (an order number). `fetched_at` is set when we asked the source ourselves (the
    moment the request began): a fetched state beats a pushed one of the same stamp.
    """

    key: Key
    stamp: datetime | None
    raw: bytes | None
    dedupe: str
    problem: str | None = None
    number: str = ""
    topic: str = ""
    fetched_at: datetime | None = None
    deleted: bool = False
    content: str = ""
    """Digest of the content (`core.jsontext.fingerprint`), so that the same state pushed and polled is seen to be equal;
    empty: the digest of the raw bytes is taken."""
    rush: bool = False
    """The record says that somebody is in a hurry: its job goes before all others."""
