"""What a customer wrote, as a comment on their account: harmless wherever vtiger shows it."""

from __future__ import annotations

import re
from typing import Any, Final

from mapping.vtiger.text import clean

LONGEST: Final = 4000
_ENTITY: Final = re.compile(r"&(?=#?\w{1,32};)")
"""vtiger decodes entities when it shows a text (seen on the wire): `&lt;script&gt;` would become what it spells."""


def plain(text: str) -> str:
    """The same for a reader, and no markup: vtiger shows comments within its pages, where brackets and entities act."""
    harmless = text.replace("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}")
    harmless = harmless.replace(">", "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}")
    return clean(_ENTITY.sub("\N{FULLWIDTH AMPERSAND}", harmless))


def note_to_vtiger(title: str, text: str, external_id: str, account: str, owner: str) -> dict[str, Any]:
    """A comment. The external id stands in its first line, where no cut reaches it: comments have no custom fields."""
    head = f"{plain(title)} [{external_id}]"
    body = plain(text)
    content = f"{head}\n\n{body}" if body else head
    return {"commentcontent": content[:LONGEST].strip(), "related_to": account, "assigned_user_id": owner}


def carries(content: str, external_id: str) -> bool:
    """Whether a comment is the one of this external id."""
    return f"[{external_id}]" in content.partition("\n")[0]
