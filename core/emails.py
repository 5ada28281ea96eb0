"""An e-mail address as an identity: folded, so that two notations of it are equal, and as a mark that is found but not read."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

import idna

_BLANK: Final = re.compile(r"\s")
_LONGEST: Final = 200
"""No address is longer, and the party index cuts nothing off."""


def fold_email(text: str) -> str:
    """`Einkauf@Müller.example` -> `einkauf@xn--mller-kva.example`. Case is folded in both parts (no mail system in use
    tells `A@` from `a@`), the domain is put in its ASCII form (IDNA 2008), a plus part stays: it may be another person.
    "" for what is no address; never raises. Folding what is folded changes nothing.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    local, at, domain = text.rpartition("@")
    local = unicodedata.normalize("NFKC", local.casefold()).removeprefix("mailto:")
    domain = domain.lower().rstrip(".")
    if not at or not local or not domain or "@" in local or _BLANK.search(text):
        return ""
    if len(text) > _LONGEST:
        return ""
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return ""
    return f"{local}@{domain}"


def email_mark(text: str) -> str:
    """What stands for the address where orders are looked for: half of the SHA-256 of the folded one, in hex (32 characters);
    "" for what is no address. It spares a second copy of the address, not the care for the first: who knows an address can tell
    its mark.
    """
    folded = fold_email(text)
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:32] if folded else ""
