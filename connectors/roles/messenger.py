"""A way to write to one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from connectors.roles.common import Finding
from core.letters import Attachment


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to one person. Nothing in it needs to be clean: the messenger takes out what would act in a header."""

    id: str
    """The same whenever the same letter is sent again: mail programs show a doubled one once."""
    to: str
    """E-mail address; "" for whom the connection itself names."""
    subject: str
    text: str
    name: str = ""
    language: str = ""
    attachments: tuple[Attachment, ...] = ()


@runtime_checkable
class Messenger(Protocol):
    """Carries letters, one recipient each."""

    name: str

    def deliver(self, letter: Letter) -> None:
        """Hand the letter over. A write. Raises `RetryLater` (it did not leave: the connection's fault, or the recipient's for
        now), `Held` that names the address that is refused, `Ambiguous` where nobody knows whether it left.
        """
        ...

    def check(self) -> Sequence[Finding]:
        """Whether a letter could be handed over, without sending one."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...
