"""Why a whole connection waits, as the error that says so."""

from __future__ import annotations

from core.errors import RetryLater


def waiting(
    connection: str, message: str, advice: str, detail: str = "", *, cause: str, seconds: float = 60
) -> RetryLater:
    """Every job of this connection waits. `message` goes on where the connection's name ends; no full stops."""
    return RetryLater(
        f"{connection} {message}. What to do: {advice}.",
        seconds=seconds,
        scope="connection",
        connection=connection,
        cause=cause,
        detail=detail,
    )


def auth(connection: str, message: str, advice: str, detail: str, seconds: float = 60) -> RetryLater:
    """The login or a right is missing."""
    return waiting(connection, message, advice, detail, cause="auth", seconds=seconds)


def configuration(connection: str, message: str, advice: str, detail: str = "", seconds: float = 300) -> RetryLater:
    """A setting over there or here is not as it must be: everything waits until somebody sees to it."""
    return waiting(connection, message, advice, detail, cause="configuration", seconds=seconds)


def failing(connection: str, message: str, advice: str, detail: str) -> RetryLater:
    """The server, or something before it, does not work as it should."""
    return waiting(connection, message, advice, detail, cause="remote 5xx")


def limited(connection: str, detail: str) -> RetryLater:
    """We asked more than we may."""
    return waiting(connection, "asks us to wait", "nothing, it is tried again by itself", detail, cause="rate limit")


def busy(connection: str, detail: str) -> RetryLater:
    """Somebody else was writing there: this one job waits a little."""
    return RetryLater(
        f"{connection} was writing what we asked for. What to do: nothing, it is tried again by itself.",
        seconds=10,
        connection=connection,
        cause="busy",
        detail=detail,
    )
