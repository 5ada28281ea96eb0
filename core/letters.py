"""What goes with a letter, wherever it is kept and however it is carried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message. `media_type` like `application/pdf`."""

    name: str
    media_type: str
    body: bytes
