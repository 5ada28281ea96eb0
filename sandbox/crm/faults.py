"""The fault dial: which calls go wrong, and how. Rates are dice thrown from a seed; scripted faults hit exactly."""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

RATES: dict[str, str] = {
    "connection_closed": "any call: the connection is closed at once, nothing happens",
    "rate_limited": "any call: 429 with Retry-After, nothing happens",
    "maintenance": "any call: a maintenance page with status 200, nothing happens",
    "php_warnings": "any call: done, with PHP warnings as HTML before the JSON",
    "login_refused": "login: INVALID_USER_CREDENTIALS",
    "session_lost": "any call but login: the session is gone, INVALID_SESSIONID",
    "read_error": "reads: HTTP 500 with an empty body",
    "empty_query": "query: success with nothing found, whatever is there",
    "error_500": "writes: HTTP 500 before anything is done",
    "empty_500": "writes: HTTP 500 with an empty body before anything is done",
    "empty_500_after": "writes: done, then HTTP 500 with an empty body",
    "lost_answer": "writes: done, then the connection is closed without an answer",
    "late_commit": "writes: no answer now, done some seconds later",
    "lost_line": "creating orders and invoices of several lines: the first line is lost (T5)",
    "lost_line_overlap": "the same, only while another session's creation is under way (T5 as it happens)",
}
"""Every fault and what it does. Each is a rate from 0 to 1."""

RETRY_AFTER = ("seconds", "date", "garbage", "none")
LATE_ANSWERS = ("reset", "timeout", "500")

READS = frozenset({"query", "retrieve", "describe", "listtypes", "retrieve_related", "sync", "retrieve_inventory"})
WRITES = frozenset({"create", "update", "revise", "delete", "convertlead"})
LOGINS = frozenset({"getchallenge", "login"})
_ANY = ("connection_closed", "rate_limited", "maintenance")


@dataclass(slots=True)
class Dial:
    """The dial's position. `rates` by fault name; `latency_ms` is added to every call, `jitter_ms` at random.
    `late_after_s`: when a late commit lands. `retry_after`: seconds, date, garbage or none.
    """

    rates: dict[str, float] = field(default_factory=dict)
    seed: int = 1
    latency_ms: float = 0
    jitter_ms: float = 0
    late_after_s: float = 2.0
    late_answer: str = "reset"
    hold_s: float = 30.0
    retry_after: str = "seconds"
    retry_after_s: int = 1


class Faults:
    """Decides about each call. `script` holds faults for particular calls, tried before the dice."""

    def __init__(self) -> None:
        self.dial = Dial()
        self.script: list[dict[str, Any]] = []
        self.struck: dict[str, int] = {}
        self._dice = random.Random(self.dial.seed)
        self._lock = threading.Lock()

    def turn(self, wanted: dict[str, Any]) -> None:
        """Set the dial: rates by name beside the other fields, and `script` (a list of
        {"fault", "operation"?, "module"?, "skip"?, "times"?}). ValueError names what is wrong; then nothing changes.
        """
        dial = Dial(**asdict(self.dial))
        script = self.script
        for name, value in wanted.items():
            if name == "script":
                script = [_scripted(entry) for entry in value if isinstance(entry, dict)]
            elif name in RATES:
                dial.rates[name] = _rate(name, value)
            elif name in _CHOICES:
                if value not in _CHOICES[name]:
                    raise ValueError(f"{name} is one of {', '.join(_CHOICES[name])}. What to do: choose one.")
                setattr(dial, name, value)
            elif name in _NUMBERS:
                setattr(dial, name, _number(name, value))
            else:
                known = ", ".join([*RATES, *_NUMBERS, *_CHOICES, "script"])
                raise ValueError(f"There is no fault {name!r}. What to do: use one of {known}.")
        with self._lock:
            if "seed" in wanted:
                self._dice = random.Random(dial.seed)
            self.dial, self.script = dial, script

    def clear(self) -> None:
        with self._lock:
            self.dial, self.script, self.struck = Dial(), [], {}
            self._dice = random.Random(self.dial.seed)

    def as_json(self) -> dict[str, Any]:
        position = asdict(self.dial)
        rates = position.pop("rates")
        return {**{name: rates.get(name, 0) for name in RATES}, **position, "script": self.script}

    def latency(self) -> float:
        """Seconds that this call is to be slower."""
        dial = self.dial
        if not dial.latency_ms and not dial.jitter_ms:
            return 0.0
        with self._lock:
            return (dial.latency_ms + dial.jitter_ms * self._dice.random()) / 1000

    def choose(self, operation: str, module: str, *, lines: int = 0, overlapping: bool = False) -> str:
        """The fault that hits this call, or ""."""
        if not self.script and not self.dial.rates:
            return ""
        with self._lock:
            fault = self._scripted(operation, module) or self._thrown(operation, lines, overlapping)
            if fault:
                self.struck[fault] = self.struck.get(fault, 0) + 1
            return fault

    def _scripted(self, operation: str, module: str) -> str:
        for entry in self.script:
            if entry["operation"] not in {"", operation} or entry["module"] not in {"", module}:
                continue
            if entry["skip"]:
                entry["skip"] -= 1
                continue
            if entry["times"]:
                entry["times"] -= 1
                return str(entry["fault"])
        return ""

    def _thrown(self, operation: str, lines: int, overlapping: bool) -> str:
        for name in _faults_of(operation, lines, overlapping):
            rate = self.dial.rates.get(name, 0.0)
            if rate and self._dice.random() < rate:
                return name
        return ""


def _faults_of(operation: str, lines: int, overlapping: bool) -> tuple[str, ...]:
    names: tuple[str, ...] = _ANY
    if operation == "login":
        names += ("login_refused",)
    if operation not in LOGINS:
        names += ("session_lost",)
    if operation in READS:
        names += ("read_error",)
    if operation == "query":
        names += ("empty_query",)
    if operation in WRITES:
        names += ("error_500", "empty_500", "empty_500_after", "lost_answer", "late_commit")
    if lines > 1:
        names += ("lost_line", "lost_line_overlap") if overlapping else ("lost_line",)
    return (*names, "php_warnings")


_CHOICES = {"retry_after": RETRY_AFTER, "late_answer": LATE_ANSWERS}
_NUMBERS: dict[str, type] = {
    "seed": int,
    "latency_ms": float,
    "jitter_ms": float,
    "late_after_s": float,
    "hold_s": float,
    "retry_after_s": int,
}


def _rate(name: str, value: object) -> float:
    rate = _number(name, value)
    if rate > 1:
        raise ValueError(f"{name} is a rate. What to do: give a number from 0 to 1.")
    return float(rate)


def _number(name: str, value: object) -> float:
    kind = _NUMBERS.get(name, float)
    try:
        number = kind(str(value))
    except ValueError:
        raise ValueError(f"{name} wants a number, not {value!r}. What to do: give a number.") from None
    if not 0 <= number < 1e9:
        raise ValueError(f"{name} is out of range. What to do: give a number from 0 up.")
    return float(number) if kind is float else int(number)


def _scripted(entry: dict[str, Any]) -> dict[str, Any]:
    if entry.get("fault") not in RATES:
        raise ValueError(f"A scripted fault needs 'fault'. What to do: use one of {', '.join(RATES)}.")
    return {
        "fault": entry["fault"],
        "operation": str(entry.get("operation", "")),
        "module": str(entry.get("module", "")),
        "skip": int(entry.get("skip", 0)),
        "times": int(entry.get("times", 1)),
    }
