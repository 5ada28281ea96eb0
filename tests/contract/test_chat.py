"""Chat rooms through apprise, against a receiver of its plainest kind (`json://`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors import chat
from connectors.http import guarded
from connectors.roles import Letter, Message
from core.errors import Held, RetryLater
from core.letters import Attachment
from core.secrets import SecretRef
from pipelines.telling import Outside
from sandbox.serve import running


class Room:
    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.statuses: dict[str, int] = {}

    async def take(self, request: Request) -> Response:
        status = self.statuses.get(request.url.path, 200)
        if status == 200:
            self.said.append(await request.json())
        return Response(status_code=status)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    made = Room()
    with running(Starlette(routes=[Route("/{name}", made.take, methods=["POST"])])) as url:
        host = url.removeprefix("http://")
        monkeypatch.setenv("CHAT_A", f"json://user:s3cret-word@{host}/a")
        monkeypatch.setenv("CHAT_B", f"json://{host}/b")
        monkeypatch.setenv("CHAT_X", "nonsense s3cret-word")
        yield made


def messenger(*names: str) -> chat.ChatMessenger:
    return chat.build(chat.ChatSettings(name="talk", urls=tuple(SecretRef(f"env:CHAT_{name}") for name in names)))


def test_letters_and_alerts_are_told_in_every_room(room: Room) -> None:
    letter = Letter(
        "1", "", "Low\r\nstock", "2 left\x1b[2J", attachments=(Attachment("a.pdf", "application/pdf", b"x"),)
    )
    with guarded(Outside()):
        messenger("A", "B").deliver(letter)
        messenger("A").send(Message("1", "crm is out", "What to do: look."))
    assert [(one["title"], one["message"]) for one in room.said] == [
        *[("Low stock", "2 left\\x1b[2J\n\n(a.pdf)")] * 2,
        ("crm is out", "What to do: look."),
    ]


def test_no_room_is_tried_again_some_are_a_persons(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    room.statuses = {"/a": 500}
    with guarded(Outside()), pytest.raises(RetryLater) as later:
        messenger("A").deliver(Letter("1", "", "s", "t"))
    assert (later.value.scope, later.value.connection) == ("connection", "talk")
    with guarded(Outside()), pytest.raises(Held, match="1 of 2"):
        messenger("A", "B").deliver(Letter("1", "", "s", "t"))
    assert "s3cret-word" not in caplog.text


def test_an_address_that_is_none_is_found_before_anything_is_said(room: Room) -> None:
    with guarded(Outside()), pytest.raises(Held) as held:
        messenger("A", "X").deliver(Letter("1", "", "s", "t"))
    assert "number 2" in held.value.message
    assert "s3cret" not in str(held.value)
    assert room.said == []
    assert [finding.level for finding in messenger("A", "X").check()] == ["problem"]
    [fine] = messenger("A", "B").check()
    assert (fine.level, fine.message) == ("ok", "2 addresses are understood: JSON.")
