"""The dead man's switch: an address elsewhere that is called while all is well, and raises the alarm when it is not."""

from __future__ import annotations

from functools import lru_cache

from connectors.http import Http, HttpOptions, Timeouts


@lru_cache(maxsize=1)
def _transport(address: str) -> Http:
    return Http("heartbeat", HttpOptions(base_url=address, timeouts=Timeouts(5.0, 10.0), attempts=2))


def beat(address: str) -> int:
    """Call it; raises the taxonomy when nobody answers."""
    _transport(address).read("heartbeat", "GET", address)
    return 1
