"""The only taxonomy of failure, named by what to do next.

Every error carries a sentence for the operator that ends in "What to do: ...", and an internal detail that goes to the log
and to the attempt's record, never to a page. Neither may contain personal data or secrets.
"""

from __future__ import annotations

from typing import Final, Literal

Scope = Literal["job", "connection"]

NO_ADVICE: Final = "What to do: nothing, it is tried again by itself."


class OrderwireError(Exception):
    """Base of the taxonomy.

    `message` is for the operator; `detail` is for the engineer; `field` names the field of the record that is at fault.
    """

    error_class = "our bug"

    def __init__(self, message: str, *, detail: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} [{self.detail}]" if self.detail else self.message


class RetryLater(OrderwireError):
    """Nothing was written, or what was written is harmless: try again after `seconds`.

    scope "connection": the fault is not this job's (outage, rate limit, refused login): it burns no attempt, and every
    job of that connection waits. scope "job": it counts towards the job's eight failures.
    `cause` is one of the classes of docs (timeout, rate limit, remote 5xx, auth, busy).
    """

    error_class = "timeout/transient"

    def __init__(
        self,
        message: str,
        *,
        seconds: float,
        scope: Scope = "job",
        connection: str = "",
        cause: str = "",
        detail: str = "",
        burns_attempt: bool | None = None,
        waiting_for: int | None = None,
    ) -> None:
        super().__init__(message, detail=detail)
        self.seconds = seconds
        self.scope = scope
        self.connection = connection
        self.cause = cause or self.error_class
        self.burns_attempt = (scope == "job") if burns_attempt is None else burns_attempt
        self.waiting_for = waiting_for
        """A link (its id) that somebody else is settling: the job is woken when that link is."""


class Ambiguous(OrderwireError):
    """A write was sent and its fate is unknown: wait out the hold, then look."""

    error_class = "ambiguous write"

    def __init__(self, message: str, *, connection: str = "", detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.connection = connection


class Held(OrderwireError):
    """A person must act. `error_class` groups held jobs: validation, missing reference, duplicate, money, mapping, ..."""

    error_class = "validation/value"

    def __init__(self, message: str, *, error_class: str = "", detail: str = "", field: str = "") -> None:
        super().__init__(message, detail=detail, field=field)
        self.error_class = error_class or type(self).error_class


class Skipped(OrderwireError):
    """A rule says that this record does not travel. The rule's name is kept with the job."""

    error_class = "skipped by rule"

    def __init__(self, message: str, *, rule: str, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.rule = rule


class NotThere(OrderwireError):
    """The source was asked for a record and answered that it does not exist (any more)."""

    error_class = "missing reference"


class ConfigurationProblem(OrderwireError):
    """The configuration, or the rights given to us, cannot work. Raised before anything starts, or by `check`."""

    error_class = "configuration"


UNSIGNED: Final = "unsigned"
"""`detail` of what nobody signed at all: it comes from anybody, and says nothing about the secret."""


class Rejected(OrderwireError):
    """A delivery that is not accepted (unsigned, too large, too old): `status` is the HTTP status to answer."""

    error_class = "rejected"

    def __init__(self, message: str, *, status: int = 401, reason: str = "signature", detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.status = status
        self.reason = reason


class LeaseLost(OrderwireError):
    """Our lease on the job (or on a lane) is over: somebody else may be at work. Stop at once, write nothing."""

    error_class = "lease lost"


class NotLive(OrderwireError):
    """A write was about to happen for a flow that is rehearsed or paused: the transport refused it."""

    error_class = "rehearsal"

    def __init__(self, flow: str, connection: str) -> None:
        super().__init__(
            f"Nothing was written: the flow {flow} is not live. What to do: `orderwire flow live {flow}` when you are ready.",
            detail=f"a write to {connection}",
        )
