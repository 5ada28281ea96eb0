"""What a rehearsal would have written into the ledger, kept in memory over what the ledger really says."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ledger import Ledger
from ledger.jobs import Claim
from ledger.links import Intent, Link
from ledger.parties import Entry

INVENTED: Final = "rehearsed:"
"""What the ids of records begin with that would have been created."""


class Overlay:
    """Links and index entries of one rehearsal; shared by all its orders, so that a new customer is new only once."""

    def __init__(self, ledger: Ledger) -> None:
        self.links = OverlayLinks(ledger)
        self.parties = OverlayParties(ledger)


class OverlayLedger:
    """A ledger whose links and index are the overlay's; everything else is the ledger's own, and only read."""

    def __init__(self, ledger: Ledger, overlay: Overlay) -> None:
        self._ledger = ledger
        self.links = overlay.links
        self.parties = overlay.parties
        self.alerts = _Silence()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class _Silence:
    """Nobody is alarmed by what was only rehearsed."""

    def open(self, *_: Any, **__: Any) -> None:
        """Said to nobody."""


class OverlayLinks:
    """The protocol of `ledger.links`, without a single write."""

    def __init__(self, ledger: Ledger) -> None:
        self._real = ledger.links
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._links: dict[tuple[str, str, str], Link] = {}

    def get(self, target: str, kind: str, key: str) -> Link | None:
        """One link."""
        return self.find(target, kind, [key]).get(key)

    def find(self, target: str, kind: str, keys: Sequence[str]) -> dict[str, Link]:
        """What the ledger knows, and what was linked in the rehearsal."""
        real = self._real.find(target, kind, keys)
        with self._lock:
            ours = {key: self._links[target, kind, key] for key in keys if (target, kind, key) in self._links}
        # What is on its way for real is looked up as if its hold were over: nobody writes here.
        return {key: replace(link, hold_left=0.0) for key, link in {**ours, **_settled(real)}.items()}

    def intend(self, _claim: Claim, target: str, kind: str, keys: Sequence[str], *, new_refs: str = "") -> Intent:
        """Everything is free to be taken."""
        known = self.find(target, kind, keys)
        refs = json.loads(new_refs) if new_refs else {}
        fresh = {key: self._new(target, kind, key, refs) for key in keys if key not in known}
        return Intent(tuple((known | fresh)[key] for key in keys), ours=True)

    def _new(self, target: str, kind: str, key: str, refs: Mapping[str, str]) -> Link:
        return Link(-next(self._numbers), target, kind, key, "intended", "", "", refs, "", None, 0, 0.0)

    def link(self, links: Sequence[Link], remote_id: str, **kept: Any) -> None:
        """Remember it for the orders that follow."""
        with self._lock:
            for link in links:
                self._links[link.target, link.kind, link.key] = replace(
                    link,
                    state="linked",
                    remote_id=remote_id,
                    remote_number=kept.get("number", ""),
                    refs=kept.get("refs") or {},
                    payload_hash=kept.get("payload_hash", ""),
                )

    def mark_sent(self, *_: Any, **__: Any) -> None:
        """Nothing is sent."""

    unsend = note = set_refs = doubt = hold_update = unhold_update = unlink = mark_sent


def _settled(real: Mapping[str, Link]) -> dict[str, Link]:
    """An intent that a crashed job left is no more than nothing."""
    return {key: link for key, link in real.items() if link.state != "intended"}


class OverlayParties:
    """The party index with the customers that would have been made."""

    def __init__(self, ledger: Ledger) -> None:
        self._real = ledger.parties
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], tuple[Entry, ...]] = {}

    def replace(self, connection: str, remote_ids: Sequence[str], entries: Sequence[Entry]) -> None:
        """As the ledger's."""
        with self._lock:
            for remote_id in remote_ids:
                if remote_id.startswith(INVENTED) and (connection, remote_id) in self._entries:
                    continue  # it is as it was invented, nobody can have changed it
                own = tuple(entry for entry in entries if entry.remote_id == remote_id)
                self._entries[connection, remote_id] = own

    def forget(self, connection: str, remote_id: str) -> None:
        """As the ledger's."""
        self.replace(connection, [remote_id], [])

    def account_of(self, remote_id: str) -> str:
        """The account of an invented contact."""
        with self._lock:
            found = [own for (_, remote), own in self._entries.items() if remote == remote_id and own]
        return found[0][0].account_id if found and found[0][0].party_kind == "contact" else ""

    def find(self, connection: str, pairs: Sequence[tuple[str, str]]) -> list[Entry]:
        """As the ledger's."""
        wanted = set(pairs)
        return self._merged(
            connection, self._real.find(connection, pairs), lambda entry: (entry.match_kind, entry.value) in wanted
        )

    def of(self, connection: str, remote_ids: Sequence[str]) -> list[Entry]:
        """As the ledger's."""
        ids = set(remote_ids)
        return self._merged(
            connection,
            self._real.of(connection, remote_ids),
            lambda entry: bool({entry.remote_id, entry.account_id} & ids),
        )

    def _merged(self, connection: str, real: Sequence[Entry], wanted: Any) -> list[Entry]:
        with self._lock:
            known = {remote: own for (name, remote), own in self._entries.items() if name == connection}
        kept = [entry for entry in real if entry.remote_id not in known]
        return kept + [entry for own in known.values() for entry in own if wanted(entry)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
