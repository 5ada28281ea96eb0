from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core import logs


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where log lines go; logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_one_json_object_a_line_with_correlation(out: io.StringIO) -> None:
    logs.configure(stream=out)
    with logs.correlated(job="7") as correlation:
        structlog.get_logger("pipelines").info("settled", order="1001", ß="Größe")
        assert logs.correlation() == correlation
    structlog.get_logger("pipelines").info("outside")
    first, second = lines(out)
    assert first["event"] == "settled"
    assert first["correlation"] == correlation
    assert first["job"] == "7"
    assert first["ß"] == "Größe"
    assert first["level"] == "info"
    assert first["logger"] == "pipelines"
    assert first["timestamp"].endswith("Z")
    assert "correlation" not in second
    assert logs.correlation() == ""


def test_everything_is_redacted(out: io.StringIO) -> None:
    logs.configure(stream=out)
    log = structlog.get_logger()
    log.warning("mail to a@b.example", password="hunter2", nested={"phone": "+49 30 1234567"})
    log.info("positional %s", "sessionName=abc")
    logging.getLogger("somewhere").warning("lib says %s", "Bearer abcdefgh", extra={"token": "t0ps3cret"})
    try:
        raise ValueError("for jane@oneill.example")
    except ValueError:
        log.exception("failed")
    text = out.getvalue()
    for secret in ("a@b.example", "hunter2", "1234567", "sessionName=abc", "abcdefgh", "t0ps3cret", "jane@"):
        assert secret not in text
    assert "ValueError" in lines(out)[-1]["exception"]


def test_the_standard_library_is_routed_and_chatter_is_quiet(out: io.StringIO) -> None:
    logs.configure(stream=out)
    with logs.correlated("abc"):
        logging.getLogger("some.library").info("started")
    logging.getLogger("httpx").info("GET http://x")
    [line] = lines(out)
    assert (line["event"], line["logger"], line["correlation"]) == ("started", "some.library", "abc")


def test_level_and_configuring_again(out: io.StringIO) -> None:
    logs.configure(stream=out, level="warning")
    structlog.get_logger("a").info("no")
    assert out.getvalue() == ""
    logs.configure(stream=out, level="debug")
    structlog.get_logger("a").debug("yes")
    assert [line["event"] for line in lines(out)] == ["yes"]


def test_text_for_a_terminal(out: io.StringIO) -> None:
    logs.configure(stream=out, as_json=False)
    structlog.get_logger("a").info("hello", mail="a@b.example")
    assert "hello" in out.getvalue()
    assert "[e-mail]" in out.getvalue()


def test_unknown_level() -> None:
    with pytest.raises(ValueError, match="one of debug, info"):
        logs.configure(level="loud")
