"""KommerceServer in the role of the portal: KS_CUSTOMERS and KS_CONTACTS, numbered, whole, in order of precedence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from connectors.kommerce.folder import HIDDEN, Folder
from connectors.kommerce.settings import KommerceSettings
from connectors.roles import FileKind, Finding, PortalFile, Publication, RepContact
from core.clock import Clock
from core.errors import ConfigurationProblem, Held, OrderwireError, RetryLater
from mapping.kommerce.columns import CONTACTS, CUSTOMERS, FileName, Layout, Mode, line
from mapping.kommerce.to_kommerce import REPS, business_of, contact_cells, customer_cells, encoded, rep_codes

_MODE: Final[dict[str, Mode]] = {"full": "FULL", "net": "NET"}
_ENDS: Final = {"crlf": "\r\n", "lf": "\n"}


class KommercePortal:
    """One portal's import folder. One job at a time writes to it."""

    def __init__(self, settings: KommerceSettings, clock: Clock) -> None:
        self.name = settings.name
        self.first = settings.first
        self.gather = settings.gather
        self._settings = settings
        self._clock = clock
        self._customers = CUSTOMERS.with_columns({REPS: settings.rep_column})
        self._folder = Folder(
            settings.name, Path(settings.folder), Path(settings.work_folder) if settings.work_folder else None
        )

    def close(self) -> None:
        """Nothing is kept open."""

    # -- rows ---------------------------------------------------------------------------------------------------------

    def digest(self, publication: Publication) -> str:
        return _digest("gone" if publication.gone else self._customer(publication))

    def contact_digest(self, contact: RepContact) -> str:
        return _digest(self._contact(contact) or "")

    def _customer(self, publication: Publication) -> str:
        reps = rep_codes(publication.card)
        return line(customer_cells(self._customers, publication.customer, reps, self._settings.rep_separator))

    def _contact(self, contact: RepContact) -> str | None:
        """None: no business is known whose contact they could be, and the portal takes no contact without one."""
        business = business_of(contact.agency, self._settings.own_business)
        if not business or not contact.rep.active:
            return None
        cells = contact_cells(
            CONTACTS,
            contact.rep,
            contact.agency,
            business=business,
            prefix=self._settings.contact_prefix,
            business_type=self._settings.contact_type,
        )
        return line(cells)

    # -- files --------------------------------------------------------------------------------------------------------

    def stage_customers(self, file: PortalFile, rows: Iterable[Publication]) -> int:
        return self._stage(file, (self._customer(row) for row in rows if not row.gone))

    def stage_contacts(self, file: PortalFile, rows: Iterable[RepContact]) -> int:
        return self._stage(file, (row for row in map(self._contact, rows) if row is not None))

    def _stage(self, file: PortalFile, rows: Iterator[str]) -> int:
        self._require_own(file)
        end = _ENDS[self._settings.line_end]
        # Only a UTF-16 file, or one that asks for it, begins with a mark; the lines after it have none.
        encoding = {"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}.get(self._settings.encoding, self._settings.encoding)
        count = self._folder.write(
            str(self.named(file)), _with_mark(self._settings.encoding, (encoded(row + end, encoding) for row in rows))
        )
        self._folder.note(file.sequence, file.mark)
        return count - 1

    def _require_own(self, file: PortalFile) -> None:
        """A number that is used is never used again, also where the ledger has forgotten it (an older backup)."""
        last, mark = self._folder.last()
        if file.sequence > last or (file.sequence == last and file.mark == mark):
            return
        raise Held(
            f"The next file for {self.name} would be number {file.sequence}, but number {last} was made here already: the "
            f"ledger is older than the portal's folder. What to do: write first = {last + 1} into this connection, then retry.",
            error_class="duplicate/conflict",
        )

    def release(self, file: PortalFile) -> bool:
        last, _ = self._folder.last()
        if file.sequence >= last:  # also where the ledger is set back to the moment before, it is not made again
            self._folder.note(file.sequence, f"{file.mark} given")
        return self._folder.give(str(self.named(file)))

    def named(self, file: PortalFile) -> FileName:
        """Its name for the portal."""
        return FileName(self._settings.source, file.sequence, _layout(file.kind).api, _MODE[file.mode])

    # -- check --------------------------------------------------------------------------------------------------------

    def check(self) -> Sequence[Finding]:
        try:
            self._folder.require()
            last, _ = self._folder.last()
        except (ConfigurationProblem, Held, RetryLater) as error:
            return [_finding("folder", error)]
        found = [Finding("folder", "ok", f"Can be written; the last file was number {last}." if last else "Is there.")]
        if not self._settings.own_business:
            found.append(
                Finding(
                    "reps",
                    "warning",
                    "No own_business: reps of the own company are told to the portal only where the directory's agency has a "
                    "business.",
                    "write the customer number under which the portal knows your company into own_business.",
                )
            )
        return [*found, *self._untaken()]

    def _untaken(self) -> list[Finding]:
        """Files that the portal should have taken by now."""
        waiting = self._waiting()
        if not waiting:
            return []
        age = self._clock.now().timestamp() - min(changed for _, changed in waiting)
        told = f"{len(waiting)} files wait to be taken, the oldest ({min(waiting)[0]}) for {age / 60:.0f} minutes."
        if age <= self._settings.untaken:
            return [Finding("files", "ok", told)]
        return [
            Finding("files", "problem", told, "see whether the portal's import runs, and its e-mails about errors.")
        ]

    def _waiting(self) -> list[tuple[str, float]]:
        found = []
        for path in self._folder.folder.glob(f"{self._settings.source}_*"):
            name = FileName.parse(path.name)
            if name is None or name.source != self._settings.source:
                continue
            try:
                found.append((path.name, path.stat().st_mtime))
            except FileNotFoundError:  # taken at this very moment
                continue
        return found


def _layout(kind: FileKind) -> Layout:
    return CUSTOMERS if kind == "customers" else CONTACTS


def _with_mark(encoding: str, lines: Iterator[bytes]) -> Iterator[bytes]:
    yield {"utf-16": b"\xff\xfe", "utf-8-sig": b"\xef\xbb\xbf"}.get(encoding, b"")
    yield from lines


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _finding(subject: str, error: OrderwireError) -> Finding:
    text, _, advice = error.message.partition(" What to do: ")
    return Finding(subject, "problem", text, advice)


__all__ = ["HIDDEN", "KommercePortal"]
