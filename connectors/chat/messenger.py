"""Slack, Teams, Telegram, Matrix, ntfy and whatever else apprise reaches. The addresses are secrets: none is shown or logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from connectors.chat.settings import ChatSettings
from connectors.http import outward
from connectors.roles import Finding, Letter, Message
from core.errors import ConfigurationProblem, Held, RetryLater
from core.visible import in_one_line, visible

if TYPE_CHECKING:
    from apprise import NotifyBase

LONGEST_TITLE: Final = 200
_QUIET: Final = logging.getLogger("apprise")
# It logs addresses, which are secrets, and answers of other people's systems.
_QUIET.setLevel(logging.CRITICAL)


class ChatMessenger:
    """One or more rooms. All are told the same; attachments stay behind."""

    def __init__(self, settings: ChatSettings) -> None:
        self.name = settings.name
        self._settings = settings

    def close(self) -> None:
        """Nothing stays open."""

    def send(self, message: Message) -> None:
        self._tell("notify", message.subject, message.text)

    def deliver(self, letter: Letter) -> None:
        left = [in_one_line(one.name) for one in letter.attachments]
        text = f"{letter.text}\n\n({', '.join(left)})" if left else letter.text
        self._tell("deliver", letter.subject, text)

    def _tell(self, operation: str, subject: str, text: str) -> None:
        rooms, title = list(self._rooms()), in_one_line(" ".join(subject.split()))[:LONGEST_TITLE]
        within = self._settings.connect_timeout + self._settings.read_timeout
        told = 0
        for room in rooms:
            with outward(self.name, operation, "", within=within, method="CHAT"):
                told += bool(room.notify(title=title, body=visible(text), body_format="text"))
        if not told:
            raise RetryLater(
                f"{self.name}: no chat took the message. What to do: nothing, it is sent again by itself.",
                seconds=60,
                scope="connection",
                connection=self.name,
            )
        if told < len(rooms):
            raise Held(
                f"{self.name}: {told} of {len(rooms)} chats took the message. What to do: see whether the other addresses are "
                "still valid; retry tells all of them again.",
                error_class="validation/value",
                field="address",
            )

    def check(self) -> Sequence[Finding]:
        try:
            rooms = list(self._rooms())
        except (ConfigurationProblem, Held) as error:
            text, _, advice = error.message.partition(" What to do: ")
            return [Finding("address", "problem", text, advice)]
        kinds = ", ".join(sorted({str(room.service_name) for room in rooms}))
        return [Finding("address", "ok", f"{len(rooms)} addresses are understood: {kinds}.")]

    def _rooms(self) -> Iterator[NotifyBase]:
        from apprise import Apprise, NotifyBase  # noqa: PLC0415 - it knows 130 services: only where there is a chat

        for number, secret in enumerate(self._settings.urls, start=1):
            room = Apprise.instantiate(secret.get(), suppress_exceptions=True)
            if not isinstance(room, NotifyBase):
                raise Held(
                    f"{self.name}: the address number {number} is none that apprise understands. "
                    "What to do: compare it with apprise's list of services.",
                    error_class="configuration",
                    field="urls",
                )
            room.socket_connect_timeout = self._settings.connect_timeout
            room.socket_read_timeout = self._settings.read_timeout
            yield room
