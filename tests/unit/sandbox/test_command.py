"""`python -m sandbox` starts a stand-in and tells where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox.__main__ import main

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.mark.parametrize(
    ("room", "words"),
    [
        ("crm", "What arrived in the CRM"),
        ("store", "Order office supplies"),
        ("erp", "Hafenkontor"),
        ("portal", "Who are you?"),
        ("mail --smtp-port 0", "No mail yet."),
    ],
)
def test_a_room_starts_and_says_where(room: str, words: str) -> None:
    command = [sys.executable, "-m", "sandbox", *room.split(), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        try:
            assert process.stdout
            address = process.stdout.readline().split()[-1]
            assert words in httpx.get(address, trust_env=False, timeout=10).text
        finally:
            process.terminate()


def test_an_empty_secret_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY_ONE", "")
    with pytest.raises(SystemExit, match="What to do"):
        main(["store", "--secret-env", "EMPTY_ONE"])
