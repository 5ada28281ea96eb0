"""The fault dial of the stand-in ERP: which calls go wrong, and how. Dice from a seed; scripted faults hit exactly."""

from __future__ import annotations

import random
import threading
from typing import Any, Final

RATES: Final[dict[str, str]] = {
    "connection_closed": "any call: the connection is closed at once, nothing happens",
    "rate_limited": "any call: 429 with Retry-After, nothing happens",
    "maintenance": "any call: a page of what stands before Tryton, with status 200",
    "error_500": "any call: HTTP 500 with a page",
    "half_answer": "any call: the answer breaks off in the middle",
    "login_refused": "login: 401, as with a wrong password",
    "session_lost": "any call but login: the session is over, 401 with an empty body",
    "not_allowed": "reading a model: UserError, as when the user lost a group",
    "busy": "any call but login: ConcurrencyException, somebody was writing",
}
"""Every fault and what it does. Each is a rate from 0 to 1."""
_NUMBERS: Final = {"seed": 1, "latency_ms": 0.0}


class Faults:
    """Decides about each call. `script`: [{"fault", "method"?, "skip"?, "times"?}], tried before the dice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Everything off."""
        with self._lock:
            self.rates: dict[str, float] = {}
            self.numbers: dict[str, float] = dict(_NUMBERS)
            self.script: list[dict[str, Any]] = []
            self.struck: dict[str, int] = {}
            self._dice = random.Random(self.numbers["seed"])

    def turn(self, wanted: dict[str, Any]) -> None:
        """Set rates and numbers by name, and `script`. ValueError names what is wrong; then nothing changes."""
        rates, numbers, script = dict(self.rates), dict(self.numbers), self.script
        for name, value in wanted.items():
            if name == "script":
                script = [_scripted(entry) for entry in value]
            elif name in RATES:
                rates[name] = _number(name, value, 1)
            elif name in _NUMBERS:
                numbers[name] = _number(name, value, 1e6)
            else:
                raise ValueError(
                    f"There is no fault {name!r}. What to do: use one of {', '.join([*RATES, *_NUMBERS])}."
                )
        with self._lock:
            if "seed" in wanted:
                self._dice = random.Random(numbers["seed"])
            self.rates, self.numbers, self.script = rates, numbers, script

    def as_json(self) -> dict[str, Any]:
        """The dial's position."""
        return {**{name: self.rates.get(name, 0) for name in RATES}, **self.numbers, "script": self.script}

    def choose(self, method: str) -> str:
        """The fault that hits this call, or ""."""
        with self._lock:
            fault = self._of_script(method) or self._of_dice(method)
            if fault:
                self.struck[fault] = self.struck.get(fault, 0) + 1
            return fault

    def _of_script(self, method: str) -> str:
        for entry in self.script:
            if entry["method"] not in {"", method}:
                continue
            if entry["skip"]:
                entry["skip"] -= 1
            elif entry["times"]:
                entry["times"] -= 1
                return str(entry["fault"])
        return ""

    def _of_dice(self, method: str) -> str:
        login = method == "common.db.login"
        for name, rate in self.rates.items():
            fits = not login if name in {"session_lost", "not_allowed", "busy"} else login or name != "login_refused"
            if rate and fits and self._dice.random() < rate:
                return name
        return ""


def _number(name: str, value: object, most: float) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError(f"{name} wants a number, not {value!r}. What to do: give a number.") from None
    if not 0 <= number <= most:
        raise ValueError(f"{name} is out of range. What to do: give a number from 0 to {most:g}.")
    return number


def _scripted(entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict) or entry.get("fault") not in RATES:
        raise ValueError(f"A scripted fault needs 'fault'. What to do: use one of {', '.join(RATES)}.")
    skip, times = int(entry.get("skip", 0)), int(entry.get("times", 1))
    return {"fault": entry["fault"], "method": str(entry.get("method", "")), "skip": skip, "times": times}
