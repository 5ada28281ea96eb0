"""Logs: one JSON object a line (coloured text on a terminal), redacted, with the correlation id of what is going on."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from core.redaction import redact_all
from core.visible import in_one_line, visible, visible_json

LEVELS: Final = ("debug", "info", "warning", "error")
# What these say at "info" is one line a request with the whole address; our own lines say it better.
_QUIET: Final = ("httpx", "httpcore", "uvicorn.access", "alembic.runtime.migration")


def new_correlation() -> str:
    """An id for everything that one delivery, poll or command sets off."""
    return uuid.uuid4().hex


def correlation() -> str:
    """The id of what is being done now, "" outside."""
    return str(get_contextvars().get("correlation", ""))


@contextmanager
def correlated(correlation_id: str = "", **fields: str) -> Iterator[str]:
    """Every line logged within carries this correlation id (a new one if empty) and these fields."""
    correlation_id = correlation_id or new_correlation()
    with bound_contextvars(correlation=correlation_id, **fields):
        yield correlation_id


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    redacted = redact_all(dict(event))
    return redacted if isinstance(redacted, dict) else event


def _harmless(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For a terminal: no text of somebody else begins a line or moves the cursor. Tracebacks keep their lines."""
    lines = ("exception", "stack")
    return {
        name: (visible if name in lines else in_one_line)(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    text = _JSON(logger, method, event)
    return visible_json(text if isinstance(text, str) else text.decode())


_JSON: Final = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def configure(*, level: str = "info", as_json: bool | None = None, stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging to `stream` (stderr). `as_json=None`: text on a terminal, JSON
    elsewhere. May be called again; the last call counts. Raises ValueError for an unknown level.
    """
    if level.lower() not in LEVELS:
        raise ValueError(f"unknown log level {level!r}: one of {', '.join(LEVELS)}")
    out = stream or sys.stderr
    json = not out.isatty() if as_json is None else as_json
    structlog.configure(
        processors=[
            *_shared(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(_formatter(json=json, colors=out.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _formatter(*, json: bool, colors: bool) -> logging.Formatter:
    final: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redact,
    ]
    if json:
        final.append(_json)
    else:
        final += [_harmless, structlog.dev.ConsoleRenderer(colors=colors)]
    return structlog.stdlib.ProcessorFormatter(processors=final, foreign_pre_chain=_shared())
