"""What a chat connection is told."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from core.secrets import SecretRef
from core.settings import ConnectionSettings


class ChatSettings(ConnectionSettings):
    """`[[connection]] connector = "apprise"`."""

    letters: ClassVar[Literal["", "mail", "chat"]] = "chat"
    connector: Literal["apprise"] = "apprise"
    urls: tuple[SecretRef, ...] = Field(min_length=1)
    """Addresses as apprise writes them (`slack://token/#stock`), each by reference: they are passwords."""
