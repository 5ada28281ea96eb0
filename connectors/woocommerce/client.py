"""The REST interface v3: one call, its answer as exact JSON, and what a 404 really means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from connectors.http import Http
from core.errors import ConfigurationProblem, NotThere, RetryLater
from core.jsontext import BOM, loads

# What WooCommerce says of a record that does not exist. Any other 404 is about the interface, not about the record.
_NO_SUCH_RECORD: Final = "invalid_id"

Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed answer. `total` and `pages` are None where the shop (or something before it) drops these headers."""

    body: Any
    total: int | None
    pages: int | None
    server_time: datetime | None


class Client:
    """Reads from the shop; all that is ever written there is webhooks (subscriptions.py) and quantities (selling.py)."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, operation: str, path: str, params: Params | None = None) -> Answer:
        """One GET below /wp-json/wc/v3/. Raises `NotThere` for a record that does not exist, `RetryLater` for the
        rest.
        """
        response = self._http.read(operation, "GET", path, params=dict(params or {}))
        body = self._body(operation, response)
        headers = response.headers
        return Answer(
            body,
            _number(headers.get("x-wp-total")),
            _number(headers.get("x-wp-totalpages")),
            _date(headers.get("date")),
        )

    def send(self, operation: str, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """One write; the record as the shop keeps it now. Raises ConfigurationProblem where the key may only read."""
        try:
            response = self._http.write(operation, method, path, json=body)
        except RetryLater as error:
            if error.cause != "auth":
                raise
            raise ConfigurationProblem(
                f"{self._http.connection} does not let our key write. What to do: in WooCommerce > Settings > Advanced > REST "
                "API set its permission to Read/Write for as long as this takes, its user being one who may manage the shop.",
                detail=error.detail,
            ) from None
        return self._body(operation, response)

    def get_rows(self, operation: str, path: str, params: Params) -> Answer:
        """A listing: `body` is a list of objects."""
        answer = self.get(operation, path, params)
        if not isinstance(answer.body, list):
            raise self._strange(
                operation, "it answered something that is not a list", "see what stands before the shop's API"
            )
        return answer

    def _body(self, operation: str, response: httpx.Response) -> Any:
        if response.status_code == 404:
            raise self._not_found(operation, response)
        if response.status_code >= 300:
            raise self._strange(
                operation, f"it redirects (HTTP {response.status_code})", "use the shop's final address as `url`"
            )
        return self._parse(operation, response)

    def _parse(self, operation: str, response: httpx.Response) -> Any:
        try:
            return loads(response.content.removeprefix(BOM))
        except ValueError:
            raise self._strange(
                operation,
                "it answered something that is not JSON",
                "look for PHP warnings or a security plugin's page there",
            ) from None

    def _not_found(self, operation: str, response: httpx.Response) -> NotThere | RetryLater:
        try:
            body = loads(response.content.removeprefix(BOM))
        except ValueError:
            body = None
        code = body.get("code") if isinstance(body, dict) else None
        if isinstance(code, str) and code.endswith(_NO_SUCH_RECORD):
            return NotThere(
                f"{self._http.connection} does not have this record. What to do: see whether it was deleted there.",
                detail=f"{operation}: {code[:80]}",
            )
        return self._strange(
            operation,
            "its REST interface is not at this address (HTTP 404)",
            "check `url`, that WooCommerce is active, and that permalinks are not set to 'plain'",
        )

    def _strange(self, operation: str, what: str, what_to_do: str) -> RetryLater:
        return RetryLater(
            f"{self._http.connection} cannot be read: {what}. What to do: {what_to_do}; it is tried again by itself.",
            seconds=60,
            scope="connection",
            connection=self._http.connection,
            cause="remote 5xx",
            detail=operation,
        )


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 12 else None


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
