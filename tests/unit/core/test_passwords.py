"""What is taken as a password, and that what is kept is only good for the right one."""

from __future__ import annotations

import pytest

from core import passwords


@pytest.mark.parametrize(
    "password",
    [
        "password12345",
        "Password1234!",
        "123456789012",
        "987654321098",
        "abcdefghijkl",
        "aaaaaaaaaaaa",
        "abababababab",
        "qwertyuiop12",
        "1q2w3e4r5t6y",
        "letmeinletmein",
        "welcome2026!",
        "iloveyou1234",
        "orderwire2026",
        "annamueller1",
        "anna.mueller.2026",
        "Passwort1234",
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert "guessed first" in passwords.objection(password, "Anna Mueller", "anna.mueller")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "tr7-blue-kite-9", "ёлка снег лампа", "vier lose Wörter hier", "x8#kQ2!vLp0z"]
)
def test_others_are_taken_whatever_they_are_made_of(password: str) -> None:
    assert passwords.objection(password, "Anna Mueller", "") == ""


def test_length_counts_in_characters() -> None:
    assert "fewer than 12" in passwords.objection("tr7-blue-ki")
    assert "more than 1000" in passwords.objection("tr7-blue-kite" * 100)
    assert passwords.objection("") != ""


def test_only_the_right_one_matches() -> None:
    kept = passwords.hashed("Käse und Brot am Abend")
    assert passwords.matches("Ka\u0308se und Brot am Abend", kept), "composed otherwise, but the same"
    assert not passwords.matches("Käse und Brot am Abend ", kept)
    assert not passwords.matches("", kept)
    assert not passwords.matches("\ud800" * 12, kept)
    assert kept != passwords.hashed("Käse und Brot am Abend"), "salted"
    assert not passwords.outdated(kept)


@pytest.mark.parametrize("kept", ["", "nonsense", "$argon2id$v=19$m=1,t=1,p=1$x$y"])
def test_where_nothing_good_is_kept_nothing_matches(kept: str) -> None:
    assert not passwords.matches("", kept)
    assert not passwords.matches("tr7-blue-kite-9", kept)
