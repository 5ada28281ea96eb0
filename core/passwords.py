"""Passwords: kept as argon2id, judged by length and by whether they are guessed first."""

from __future__ import annotations

import re
import secrets
import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST: Final = 12
LONGEST: Final = 1000
"""Characters. Nobody types more; hashing what is endless is a way to keep a server busy."""
_HASHER: Final = PasswordHasher(
    time_cost=1, memory_cost=46 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
"""46 MiB, one pass, one lane: the first of the settings that OWASP calls equally strong (Password Storage Cheat Sheet). More
passes would keep a processor from the orders for longer."""

# The commonest passwords of published leaks are almost all shorter than twelve characters. Of longer ones the commonest are
# made of few words and runs, over and over: so what is left without those must still be long enough to guess at.
# fmt: off
_WORDS: Final = (
    "password", "passwort", "passwd", "parola", "kennwort", "contraseña", "motdepasse", "welcome", "willkommen",
    "benvenuto", "administrator", "admin", "letmein", "iloveyou", "qwertyuiop", "qwertz", "qwerty", "asdfghjkl",
    "asdfgh", "zxcvbnm", "yxcvbnm", "1q2w3e4r5t", "1qaz2wsx3edc", "qazwsx", "abcdefgh", "abc123", "monkey", "dragon",
    "sunshine", "princess", "football", "baseball", "superman", "batman", "trustno1", "master", "shadow", "michael",
    "changeme", "default", "secret", "login", "test", "user", "guest", "root", "summer", "winter", "spring", "autumn",
    "sommer", "computer", "internet", "orderwire",
)
# fmt: on
_LEFT: Final = 6
_RUN: Final = 4


def hashed(password: str) -> str:
    """What is kept. Takes about a tenth of a second and 46 MiB: never on the event loop."""
    return _HASHER.hash(_same(password))


def matches(password: str, kept: str) -> bool:
    """Is it this one? Where nothing is kept ("") it takes as long, and is never right."""
    try:
        _HASHER.verify(kept or _nobodys(), _same(password)[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return bool(kept)


def outdated(kept: str) -> bool:
    """Made with other parameters than today's: hash it anew while the password is at hand."""
    return _HASHER.check_needs_rehash(kept)


def objection(password: str, *names: str) -> str:
    """Why it cannot be taken, for people; "" when it can. `names`: of the person, which are guessed first."""
    plain = _same(password)
    if len(plain) < SHORTEST:
        return (
            f"The password has fewer than {SHORTEST} characters. What to do: choose a longer one, such as four words."
        )
    if len(plain) > LONGEST:
        return f"The password has more than {LONGEST} characters. What to do: choose a shorter one."
    if len(_unguessed(plain, names)) < _LEFT:
        return (
            "The password is one of those that are guessed first (common words, names, runs, repetitions). "
            "What to do: choose another, such as four words that have nothing to do with each other."
        )
    return ""


def _unguessed(password: str, names: tuple[str, ...]) -> str:
    """What is left without common words, names, digits around them, runs and repetitions."""
    text = password.casefold()
    own = [part for name in names for part in re.split(r"[\W_]+", name.casefold()) if len(part) > 2]
    for word in sorted([*own, *_WORDS], key=len, reverse=True):
        text = text.replace(word, "\n")
    text = re.sub(r"(.{1,8}?)\1+", r"\1", text.strip("\n0123456789!?.-_@#$ "))
    return "".join(part for part in _without_runs(text) if not part.isspace())


def _without_runs(text: str) -> str:
    """`1234`, `fedc`: steps of one, four or more in a row, count as one character."""
    kept: list[str] = []
    start = 0
    for end in range(1, len(text) + 1):
        if end < len(text) and _step(text, end) and (end - start < 2 or _step(text, end) == _step(text, end - 1)):
            continue
        run = text[start:end]
        kept.append(run[:1] if len(run) >= _RUN else run)
        start = end
    return "".join(kept)


def _step(text: str, place: int) -> int:
    step = ord(text[place]) - ord(text[place - 1])
    return step if abs(step) == 1 else 0


def _same(password: str) -> str:
    """However a keyboard composes an accent, it is the same password."""
    return unicodedata.normalize("NFKC", password.encode("utf-8", "replace").decode())


@cache
def _nobodys() -> str:
    return _HASHER.hash(secrets.token_hex(16))
