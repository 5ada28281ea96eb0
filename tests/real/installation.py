"""An Orderwire between a real Tryton and the stand-in CRM: its configuration, its process, and what people in Tryton do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import httpx

from tests.real.tryton_server import DATABASE, PASSWORD, Office, TrytonServer, day
from tests.world import ACCESS_KEY

ROOT: Final = Path(__file__).parents[2]
STARTS_WITHIN: Final = 240.0
"""Seconds: a first start compiles every library, on a machine that may be busy."""
ENDS_WITHIN: Final = 60.0
LOOKS_EVERY: Final = 2.0
"""Seconds: a customer may ask for 60 cards in a minute."""
PORTAL_SECRET: Final = "ORDERWIRE_TEST_PORTAL"
"""Whose value `tests.portal` signs with."""
ENVIRONMENT: Final = {"TRYTON_TEST_PASSWORD": PASSWORD, "CRM_TEST_KEY": ACCESS_KEY}

# What has a default has it here: how often the ERP is asked, and how far back.
CONFIGURATION: Final = """\
[ledger]
url = "sqlite:///{folder}/orderwire.db"
[web]
port = 0
[[connection]]
name = "erp"
connector = "tryton"
url = "{erp}"
database = "{database}"
username = "orderwire"
password = "env:TRYTON_TEST_PASSWORD"
[[connection]]
name = "crm"
connector = "vtiger"
url = "{crm}"
username = "apiuser"
access_key = "env:CRM_TEST_KEY"
owners = {{ {owners} }}
currencies = {{ EUR = "21x1" }}
erp_number_field = "tickersymbol"
[[reps]]
name = "reps"
source = "erp"
target = "crm"
{flow}
[[portal]]
name = "shop"
source = "erp"
secrets = ["env:{secret}"]
team = {{ name = "Customer service", email = "service@company.example" }}
"""


def configured(folder: Path, erp: TrytonServer, crm: str, owners: dict[str, str], flow: str = "") -> Path:
    """The file. `owners`: rep codes and users of the CRM; `flow`: more lines of the `[[reps]]`."""
    table = ", ".join(f'{code} = "{user}"' for code, user in owners.items())
    path = folder / "orderwire.toml"
    text = CONFIGURATION.format(
        folder=folder, erp=erp.url, database=DATABASE, crm=crm, owners=table, flow=flow, secret=PORTAL_SECRET
    )
    path.write_text(text, encoding="utf-8")
    return path


# -- the process -------------------------------------------------------------------------------------------------------


class Orderwire:
    """`orderwire up` as a process of its own."""

    def __init__(self, file: Path) -> None:
        self._said = file.parent / "output"
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "cli.py", "up", "--config", str(file)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
            )

    def address(self) -> str:
        """Where it listens, once it does."""
        deadline = time.monotonic() + STARTS_WITHIN
        while (found := re.search(r"listens at (\S+);", self.said())) is None:
            assert self.process.poll() is None, f"it ended by itself:\n{self.said()}"
            assert time.monotonic() < deadline, f"it did not start:\n{self.said()}"
            time.sleep(0.1)
        return found[1]

    def said(self) -> str:
        return self._said.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """Its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(ENDS_WITHIN)
        finally:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(file: Path) -> Iterator[tuple[Orderwire, str]]:
    """The process and where it listens, until the block ends; it must end in order."""
    made = Orderwire(file)
    try:
        yield made, made.address()
    finally:
        code = made.stop()
    assert code == 0, f"it did not end in order:\n{made.said()[-4000:]}"


def seconds_until(facts: dict[str, Callable[[], bool]], within: float, since: float) -> dict[str, float]:
    """When each of these became true, in seconds from `since` (monotonic); what did not within so many is not in it."""
    found: dict[str, float] = {}
    while len(found) < len(facts):
        for name, holds in facts.items():
            if name not in found and holds():
                found[name] = time.monotonic() - since
        if time.monotonic() - since > within:
            break
        time.sleep(LOOKS_EVERY if len(found) < len(facts) else 0)
    return {name: took for name, took in found.items() if took <= within}


# -- what people do ----------------------------------------------------------------------------------------------------


def staff(server: TrytonServer) -> Office:
    """People who work in that Tryton. Codes are typed in by hand there: one that a sequence gave could not be changed."""
    people = Office(server)
    people.write("party.configuration", people.find("party.configuration")[0], party_sequence=None)
    return people


def hire(office: Office, code: str, name: str, phone: str) -> int:
    """A rep in Tryton: a party, and its agent, whose id this is."""
    reached = [
        {"type": "email", "value": f"{code.lower()}@company.example"},
        {"type": "phone", "value": phone},
    ]
    party = office.create("party.party", name=name, code=code, contact_mechanisms=[["create", reached]])
    return office.create("commission.agent", party=party, company=1, currency=1)


def serves(agent: int, first: date | None = None, last: date | None = None) -> dict[str, Any]:
    """A row of a customer's agents: who sells to it, from and to which day."""
    return {"agent": agent, "start_date": _day(first), "end_date": _day(last)}


def sign_up(office: Office, code: str, *agents: dict[str, Any]) -> int:
    """A customer in Tryton: the id of its party."""
    return office.create("party.party", name=f"Office {code}", code=code, agents=[["create", list(agents)]])


def _day(one: date | None) -> dict[str, Any] | None:
    return None if one is None else day(one.year, one.month, one.day)


class CrmDesk:
    """What people see in the stand-in CRM."""

    def __init__(self, url: str, owners: dict[str, str]) -> None:
        self.url = url
        self._codes = {user: code for code, user in owners.items()}

    def account(self, number: str) -> None:
        """Somebody has made an account for this customer, which is the administrator's."""
        made = {"accounts": [{"accountname": f"Office {number}", "tickersymbol": number}]}
        httpx.post(f"{self.url}/sandbox/seed", json=made, timeout=30, trust_env=False).raise_for_status()

    def owner(self, number: str) -> str:
        """The code of the rep whose account it is; of somebody else, the CRM's own word."""
        answer = httpx.get(
            f"{self.url}/sandbox/state", params={"module": "Accounts"}, timeout=30, trust_env=False
        ).json()
        [found] = [one for one in answer["records"]["Accounts"] if one["tickersymbol"] == number]
        return self._codes.get(found["assigned_user_id"], str(found["assigned_user_id"]))
