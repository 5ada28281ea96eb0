"""The one transport through which connectors call out.

It sets time-outs on every call, follows no redirect, trusts no proxy variable, turns statuses into outcomes by a table,
redacts what it reports, retries briefly what is safe to retry, keeps to the connection's budget of calls, and asks the job's
guard before every write.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx
import tenacity

from connectors.wire import UNPACKED, Endless, Wire, bound, until
from core.errors import Ambiguous, Held, LeaseLost, NotThere, OrderwireError, RetryLater
from core.redaction import redact

SHORT_WAIT: Final = 5.0
"""Seconds that a job waits here; what takes longer goes back to the ledger."""
BACKGROUND_PATIENCE: Final = 30.0
"""Seconds that what is no job (a poll, a comparison) waits for one call: it keeps no thread from a job."""


class Outcome(StrEnum):
    """What an answer means for the caller."""

    OK = "ok"
    RETRY_SAFE = "retry_safe"
    AMBIGUOUS = "ambiguous"
    PERMANENT = "permanent"
    AUTH = "auth"


_READ: Final[dict[int, Outcome]] = {
    401: Outcome.AUTH,
    403: Outcome.AUTH,
    408: Outcome.RETRY_SAFE,
    409: Outcome.RETRY_SAFE,
    425: Outcome.RETRY_SAFE,
    429: Outcome.RETRY_SAFE,
}
_WRITE: Final[dict[int, Outcome]] = _READ | {
    409: Outcome.PERMANENT,
    500: Outcome.AMBIGUOUS,
    502: Outcome.AMBIGUOUS,
    503: Outcome.AMBIGUOUS,
    504: Outcome.AMBIGUOUS,
}


def outcome_of(status: int, *, write: bool, overrides: Mapping[int, Outcome] | None = None) -> Outcome:
    """The table from HTTP status to outcome; a connector's differences are an override dict, not code."""
    if overrides and status in overrides:
        return overrides[status]
    table = _WRITE if write else _READ
    if status in table:
        return table[status]
    if status < 300:
        return Outcome.OK
    if status >= 500:
        return Outcome.AMBIGUOUS if write else Outcome.RETRY_SAFE
    return Outcome.PERMANENT


class Guard(Protocol):
    """Asked before every outward write, and told of every call."""

    def before_write(self, connection: str, timeout: float) -> None:
        """Raise `LeaseLost` (or another error) when this write must not happen."""
        ...

    def called(self, call: Call) -> None:
        """One call is over."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One outward call as it is recorded: never a body, never a query string."""

    connection: str
    operation: str
    method: str
    status: int
    outcome: str
    milliseconds: float
    write: bool
    path: str = ""
    """Below the connection's address."""


_guard: ContextVar[Guard | None] = ContextVar("guard", default=None)
_live: ContextVar[bool] = ContextVar("live", default=False)
_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def guarded(guard: Guard, *, live: bool = False, patience: float = 30.0) -> Iterator[None]:
    """Everything called within belongs to this job. `live`: it goes before others in the budgets of calls. `patience`:
    seconds that all its waiting for budgets may take together.
    """
    tokens = _guard.set(guard), _live.set(live), _patience.set(Patience(patience))
    try:
        yield
    finally:
        _guard.reset(tokens[0])
        _live.reset(tokens[1])
        _patience.reset(tokens[2])


@contextmanager
def outward(connection: str, operation: str, path: str, *, within: float, method: str = "FILE") -> Iterator[None]:
    """A write that is no request (a file or a letter that is handed over), within so many seconds: the guard is asked first and
    told of it, as of every write. Raises LeaseLost.
    """
    guard = _guard.get()
    if guard is None:
        raise LeaseLost("A write outside of a job was refused. What to do: report this as a bug.", detail=operation)
    guard.before_write(connection, within)
    started, outcome = time.perf_counter(), Outcome.RETRY_SAFE
    try:
        yield
        outcome = Outcome.OK
    finally:
        took = (time.perf_counter() - started) * 1000
        guard.called(Call(connection, operation, method, 0, outcome.value, took, write=True, path=redact(path)))


@contextmanager
def urgent() -> Iterator[None]:
    """What is called within counts as live: others wait for it."""
    token = _live.set(True)
    try:
        yield
    finally:
        _live.reset(token)


class Patience:
    """Seconds that may still be waited."""

    __slots__ = ("left",)

    def __init__(self, seconds: float) -> None:
        self.left = seconds


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds."""

    connect: float = 5.0
    read: float = 30.0

    @property
    def longest(self) -> float:
        """The longest that one call can take."""
        return self.connect + self.read + 1.0


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How a connection is called. `overrides`: status -> outcome, for systems that use statuses in their own way."""

    base_url: str
    timeouts: Timeouts = field(default_factory=Timeouts)
    overrides: Mapping[int, Outcome] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 3
    retry_within: float = 20.0
    connections: int = 20
    verify_tls: bool = True


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds from a `Retry-After` header (seconds or date), clamped to 1 s .. 1 h; None when absent or garbage."""
    if not value:
        return None
    text = value.strip()
    try:
        seconds = float(text) if text.isascii() and text.isdigit() else _until(text, now or datetime.now(UTC))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(seconds, 1.0), 3600.0)


def _until(text: str, now: datetime) -> float:
    moment = parsedate_to_datetime(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


class Turn(Protocol):
    """What came of asking for a call."""

    @property
    def ours(self) -> bool:
        """The call may be made, in `wait` seconds. False: nothing was taken; there may be one to be had in `wait` seconds."""
        ...

    @property
    def wait(self) -> float:
        """Seconds."""
        ...


class Budget(Protocol):
    """How many calls a connection bears. Asked for each; never sleeps itself."""

    def __call__(self, *, live: bool, within: float) -> Turn:
        """One call, whose moment may be at most `within` seconds away."""
        ...


Observer = Callable[[Call], None]


class Http:
    """One connection's transport; safe to share between threads. Close it when the process ends."""

    def __init__(
        self,
        connection: str,
        options: HttpOptions,
        *,
        auth: httpx.Auth | None = None,
        budget: Budget | None = None,
        observe: Observer | None = None,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.connection = connection
        self.options = options
        self._budget = budget
        self._observe = observe
        self._sleep = sleep
        times = options.timeouts
        self._client = httpx.Client(
            base_url=options.base_url,
            auth=auth,
            timeout=httpx.Timeout(times.read, connect=times.connect),
            follow_redirects=False,
            trust_env=False,
            transport=transport or Wire(verify_tls=options.verify_tls, connections=options.connections),
            headers={"User-Agent": "Orderwire/1", "Accept-Encoding": UNPACKED, **options.headers},
            event_hooks={"response": [bound]},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def pause(self, seconds: float) -> None:
        """Wait a moment before something is tried again."""
        self._sleep(seconds)

    def read(self, operation: str, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """A call without effect over there: transient faults are retried at most `attempts` times within `retry_within` s."""
        return self._with_retries(operation, method, url, write=False, kwargs=kwargs)

    def write(self, operation: str, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """A call with effect: the guard is asked first; only what certainly had no effect is retried."""
        return self._with_retries(operation, method, url, write=True, kwargs=kwargs)

    def _with_retries(
        self, operation: str, method: str, url: str, *, write: bool, kwargs: dict[str, Any]
    ) -> httpx.Response:
        try:
            return self._once(operation, method, url, write=write, kwargs=kwargs)
        except _Transient as first:
            if not first.short:
                raise first.error from None
            self._sleep(first.wait)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, _Transient) and e.short),
            stop=tenacity.stop_after_attempt(max(self.options.attempts - 1, 1))
            | tenacity.stop_after_delay(self.options.retry_within),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._once, operation, method, url, write=write, kwargs=kwargs)
        except _Transient as last:
            raise last.error from None

    def _once(self, operation: str, method: str, url: str, *, write: bool, kwargs: dict[str, Any]) -> httpx.Response:
        guard = _guard.get()
        if write and guard is None:
            raise LeaseLost("A write outside of a job was refused. What to do: report this as a bug.", detail=operation)
        self._wait_for_budget(operation)
        if write and guard is not None:  # after any waiting: what it says must still be true when the request leaves
            guard.before_write(self.connection, self.options.timeouts.longest)
        started = time.perf_counter()
        status, outcome = 0, Outcome.AMBIGUOUS
        try:
            with until(time.monotonic() + self.options.timeouts.longest):
                response = self._client.request(method, url, **kwargs)
            status = response.status_code
            outcome = outcome_of(status, write=write, overrides=self.options.overrides)
        except Endless as error:
            outcome = Outcome.AMBIGUOUS if write else Outcome.PERMANENT
            raise self._ambiguous(f"{operation}: {error}") if write else self._endless(operation, error) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            outcome = Outcome.RETRY_SAFE if not write or _never_sent(error) else Outcome.AMBIGUOUS
            raise self._fault(operation, error, outcome) from error
        finally:
            took = (time.perf_counter() - started) * 1000
            path = redact(urlsplit(url).path)
            self._report(guard, Call(self.connection, operation, method, status, outcome.value, took, write, path))
        if outcome is Outcome.OK:
            return response
        raise self._refusal(operation, response, outcome)

    def _wait_for_budget(self, operation: str) -> None:
        """A short wait is waited here; a longer one, or one too many, goes back to the ledger. Nothing was sent yet."""
        if self._budget is None:
            return
        patience = _patience.get() or Patience(BACKGROUND_PATIENCE)
        longest = patience.left if _guard.get() is None else min(SHORT_WAIT, patience.left)
        while True:
            turn = self._budget(live=_live.get(), within=longest)
            if not turn.ours and turn.wait > longest:
                raise self._over_budget(operation, turn.wait)
            if turn.wait > 0:
                self._sleep(turn.wait)
                longest -= turn.wait
                patience.left -= turn.wait
            if turn.ours:
                return

    def _over_budget(self, operation: str, seconds: float) -> RetryLater:
        return RetryLater(
            f"The calls that {self.connection} allows us are used up for the moment. What to do: nothing, it is tried again by "
            "itself; if it stays, raise `rate` of this connection.",
            seconds=seconds,
            connection=self.connection,
            cause="rate limit",
            burns_attempt=False,
            detail=operation,
        )

    def _report(self, guard: Guard | None, call: Call) -> None:
        if guard is not None:
            guard.called(call)
        if self._observe is not None:
            self._observe(call)

    def _fault(self, operation: str, error: Exception, outcome: Outcome) -> OrderwireError:
        detail = f"{operation}: {type(error).__name__}"
        where = urlsplit(self.options.base_url).netloc
        if outcome is Outcome.AMBIGUOUS:
            return self._ambiguous(detail)
        return _Transient(
            RetryLater(
                f"{self.connection} cannot be reached at {where}. What to do: see whether it is up; it is tried again by itself.",
                seconds=10,
                scope="connection",
                connection=self.connection,
                cause="timeout/transient",
                detail=detail,
            ),
            wait=_backoff(),
        )

    def _endless(self, operation: str, error: Endless) -> OrderwireError:
        """The fault is this answer's, not the connection's: others go on."""
        if error.large:
            return Held(
                f"{self.connection} gives {error} for this record. What to do: see what it holds over there, have it mended, "
                "then retry.",
                error_class="validation/value",
                detail=f"{operation}: {error}",
            )
        return RetryLater(
            f"{self.connection} gives an answer that does not end ({error}). What to do: see what this record is over there; "
            "it is tried again by itself.",
            seconds=10,
            connection=self.connection,
            cause="timeout/transient",
            detail=f"{operation}: {error}",
        )

    def _ambiguous(self, detail: str) -> Ambiguous:
        return Ambiguous(
            f"{self.connection} did not say whether it kept what was sent. "
            "What to do: nothing, Orderwire looks after a while whether it is there.",
            connection=self.connection,
            detail=detail,
        )

    def _refusal(self, operation: str, response: httpx.Response, outcome: Outcome) -> OrderwireError:
        status = response.status_code
        detail = f"{operation}: HTTP {status}"
        if outcome is Outcome.AMBIGUOUS:
            return self._ambiguous(detail)
        if outcome is Outcome.AUTH:
            return RetryLater(
                f"{self.connection} refused our login or our rights (HTTP {status}). "
                "What to do: check the credentials and rights of this connection, then `orderwire check`.",
                seconds=60,
                scope="connection",
                connection=self.connection,
                cause="auth",
                detail=detail,
            )
        if outcome is Outcome.RETRY_SAFE:
            seconds = retry_after(response.headers.get("retry-after"))
            limited = status == 429
            return _Transient(
                RetryLater(
                    f"{self.connection} asks us to wait (HTTP {status}). What to do: nothing, it is tried again by itself.",
                    seconds=seconds or 10,
                    scope="connection" if limited or status >= 500 else "job",
                    connection=self.connection,
                    cause="rate limit" if limited else "remote 5xx",
                    detail=detail,
                ),
                wait=seconds if seconds is not None else _backoff(),
            )
        if status == 404:
            return NotThere(
                f"{self.connection} does not have this record. What to do: see whether it was deleted there.",
                detail=detail,
            )
        return Held(
            f"{self.connection} refused the request (HTTP {status}). What to do: see the detail, mend the data, then retry.",
            error_class="validation/value",
            detail=f"{detail} {_reason(response)}",
        )


class _Transient(OrderwireError):
    """Retry-safe: retried here when the wait is short, else handed on as `error`."""

    def __init__(self, error: RetryLater, *, wait: float) -> None:
        super().__init__(error.message, detail=error.detail)
        self.error = error
        self.wait = wait

    @property
    def short(self) -> bool:
        return self.wait <= SHORT_WAIT


def _backoff() -> float:
    return random.uniform(0.1, 0.5)  # noqa: S311 - jitter, not a secret


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    base = error.wait if isinstance(error, _Transient) else 1.0
    return float(min(base * state.attempt_number, SHORT_WAIT))


def _never_sent(error: Exception) -> bool:
    """True only where not one byte of the request can have reached the other side."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol)


def _reason(response: httpx.Response) -> str:
    """The vendor's error code, if its body is a small JSON object with one; never free text (it may repeat the data)."""
    try:
        body = response.json()
    except ValueError:
        return ""
    code = body.get("code") if isinstance(body, dict) else None
    return f"code={code}" if isinstance(code, str) and len(code) < 80 else ""
