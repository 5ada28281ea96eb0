"""A way to reach people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from connectors.roles.common import Finding


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell people. `id` is the same whenever the same thing is told again (for the receiver to notice)."""

    id: str
    subject: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    """The same facts for programs."""


@runtime_checkable
class Notifier(Protocol):
    """A way to reach people."""

    name: str

    def send(self, message: Message) -> None:
        """Hand the message over. Raises `RetryLater`, or `Held` that names the address that was refused."""
        ...

    def check(self) -> Sequence[Finding]:
        """Whether a message could be handed over, without sending one."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...
