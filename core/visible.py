"""Characters that act instead of being read: whatever somebody wrote into an order, a terminal, a log and a page only show it.

These are controls (line ends and tabs stay unless told otherwise), the controls of terminals beyond ASCII, what turns the
direction of writing around, line ends that are none in ASCII, and halves of surrogate pairs, which no file can hold. Marks that
honest texts need (joiners of emoji, marks of direction in Arabic and Hebrew) stay.
"""

from __future__ import annotations

import re
from typing import Final

_BEYOND: Final = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_ACTING: Final = re.compile(f"[\x00-\x08\x0b-\x1f{_BEYOND}]")
_ACTING_OR_BREAKING: Final = re.compile(f"[\x00-\x1f{_BEYOND}]")
_IN_JSON: Final = re.compile(f"[{_BEYOND}]")


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def visible(text: str) -> str:
    r"""`\u202e` in the place of what acts; line ends (also those of Windows) and tabs stay."""
    return text if text.isprintable() else _ACTING.sub(_shown, text.replace("\r\n", "\n"))


def in_one_line(text: str) -> str:
    """The same for a line of its own: no line ends either."""
    return text if text.isprintable() else _ACTING_OR_BREAKING.sub(_shown, text)


def referenced(text: str) -> str:
    """What acts, written as HTML's references: for the value of a field that nobody reads and that is to come back as it is. The
    text is escaped already.
    """
    return text if text.isprintable() else _ACTING_OR_BREAKING.sub(lambda found: f"&#{ord(found[0])};", text)


def visible_json(document: str) -> str:
    """A JSON text in which what acts is written as an escape. It means the same: such characters stand only in strings."""
    return document if document.isascii() else _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
