"""Posts cards as signed JSON: {"type": "portal.card", "timestamp": ..., "data": {"customer": ..., "card": {...}}}."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from connectors.http import Http, Outcome
from connectors.push.settings import PushSettings
from connectors.roles import Finding, Publication
from connectors.signing import check_secret, signed
from core.clock import Clock
from core.errors import Held, NotThere, RetryLater
from mapping.cards import shown

OVERRIDES: Final[dict[int, Outcome]] = {
    # A state is told, not an event: what may have arrived may be told again, so a fault of theirs is simply tried again.
    **dict.fromkeys((500, 502, 503, 504), Outcome.RETRY_SAFE),
    409: Outcome.OK,
}
"""409: the receiver has a later state of this customer already."""


class PushPortal:
    """One address. The receiver verifies the signature, drops what it has seen (`webhook-id`) and what is older (`version`)."""

    def __init__(self, settings: PushSettings, http: Http, clock: Clock) -> None:
        self.name = settings.name
        self._settings = settings
        self._http = http
        self._clock = clock

    def close(self) -> None:
        self._http.close()

    def digest(self, publication: Publication) -> str:
        text = json.dumps(_data(publication), ensure_ascii=False, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def publish(self, publication: Publication, *, id: str, version: int) -> None:
        now = self._clock.now()
        body = json.dumps(
            {
                "type": "portal.card.removed" if publication.gone else "portal.card",
                "timestamp": now.isoformat(),
                "data": {**_data(publication), "version": version},
            },
            ensure_ascii=False,
        )
        headers = {**signed(self.name, self._settings.secret, id, now, body), "idempotency-key": id}
        try:
            self._http.write("publish", "POST", self._settings.url, content=body.encode(), headers=headers)
        except NotThere:
            raise RetryLater(
                f"Nothing answers at the address of {self.name} (HTTP 404). What to do: see whether the url of this connection "
                "is right; it is tried again by itself.",
                seconds=60,
                scope="connection",
                connection=self.name,
                cause="configuration",
            ) from None
        except Held as error:
            raise Held(
                f"{self.name} refused the card of this customer. What to do: see there why, mend it, then retry.",
                error_class=error.error_class,
                detail=error.detail,
            ) from None

    def check(self) -> Sequence[Finding]:
        return check_secret(self.name, self._settings.secret)


def _data(publication: Publication) -> dict[str, Any]:
    data: dict[str, Any] = {"source": publication.source, "customer": publication.customer.number}
    return data if publication.gone else {**data, "card": shown(publication.card)}
