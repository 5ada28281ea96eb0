"""What people do with the rep directory by hand: reps, agencies, absences with a deputy, assignments. Checked and audited."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.roles import Owning
from core.errors import Held, OrderwireError
from core.settings import RepFlowSettings
from ledger.reps import AbsenceRow, AssignmentRow, Entry
from mapping.canonical import SalesRep
from mapping.identity import fold_erp
from mapping.reps import Directory
from pipelines.context import Context
from pipelines.desk import Notes, Refused, Unknown
from pipelines.repbook import agency_of, rep_of
from pipelines.repowners import account_of

CODE: Final = 80
"""Characters of a code."""
CONTACTS: Final = 50
"""Contacts of a business that are offered: each is asked of the CRM."""
RELEASABLE: Final = ("email", "phone", "mobile", "photo", "languages", "title")
"""What may leave the house beside the name."""
TEXTS: Final = ("name", "title", "email", "phone", "mobile", "photo")


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact of an agency's business in the CRM."""

    id: str
    name: str
    email: str
    phone: str


class RepEditing:
    """The services, for one ERP's directory."""

    def __init__(
        self, context: Context, flow: RepFlowSettings, audit: Notes, bell: Callable[[], object] = lambda: None
    ) -> None:
        self.context, self.flow, self.audit, self.bell = context, flow, audit, bell
        self.kept = context.ledger.reps
        self.source = flow.source

    @property
    def directory(self) -> Directory:
        """As it stands."""
        return self.context.books.get(self.source).directory

    def rep(self, code: str, agency: str = "") -> Entry:
        """What is kept of a rep: by the ERP, and by people. Raises Unknown."""
        found = next((one for one in self.kept.reps(self.source) if (one.code, one.agency) == (code, agency)), None)
        if found is None:
            raise Unknown(f"There is no rep {code}. What to do: see the directory.")
        return found

    # -- reps and agencies ---------------------------------------------------------------------------------------------

    def save_rep(
        self,
        code: str,
        agency: str,
        fields: Mapping[str, str],
        *,
        actor: str,
        released: Collection[str] | None = None,
        owner: str = "",
        active: bool | None = None,
    ) -> bool:
        """What people say of a rep, over what the ERP says; "" says nothing. `released` None: as the ERP (or the rule) has it;
        `active` likewise. Whether anything changed. Raises Refused.
        """
        code, agency = _code(code), agency.strip()
        if agency and agency not in {one.code for one in self.directory.agencies}:
            raise Refused(f"There is no agency {agency}. What to do: add it first.")
        facts: dict[str, Any] = {name: fields[name].strip() for name in TEXTS if fields.get(name, "").strip()}
        languages = [tag.strip() for tag in fields.get("languages", "").replace(";", ",").split(",") if tag.strip()]
        facts |= {"languages": languages} if languages else {}
        facts |= {"active": active} if active is not None else {}
        facts |= {"released": sorted(set(released) & set(RELEASABLE))} if released is not None else {}
        self._sound(code, agency, facts)
        self._owner(owner.strip())
        if not any(one.code == code and one.agency == agency for one in self.kept.reps(self.source)) and not facts.get(
            "name"
        ):
            raise Refused(f"The name of {code} is missing. What to do: give it; the card shows it.")
        changed = self.kept.put_rep(self.source, code, facts or None, agency=agency, owner=owner.strip(), by=actor)
        if changed:
            # What was said is personal: which fields is enough for the audit.
            self._note(
                actor, "reps.rep", f"rep/{code}", {"agency": agency, "fields": sorted(facts), "owner": owner.strip()}
            )
        return changed

    def _sound(self, code: str, agency: str, facts: Mapping[str, Any]) -> None:
        try:
            made: SalesRep = rep_of(Entry(self.source, code, agency, own=facts))
        except Held as error:
            raise Refused(error.message) from error
        if made.photo and not made.photo.startswith("https://"):
            raise Refused("The address of the picture does not begin with https://. What to do: give one that does.")

    def _owner(self, owner: str) -> None:
        crm = self.context.crms.get(self.flow.target)
        if owner and crm is not None and not crm.has_owner(owner):
            raise Refused(
                f"{self.flow.target} has no owner named {owner}. What to do: choose one of the connection's owners table."
            )

    def forget_rep(self, code: str, agency: str, *, actor: str) -> None:
        """What people said of a rep; what the ERP says of it stays."""
        self.rep(code, agency)
        self.kept.put_rep(self.source, code, None, agency=agency, owner="", by=actor)
        self._note(actor, "reps.rep.forget", f"rep/{code}", {"agency": agency})

    def save_agency(self, code: str, name: str, business: str, *, own: bool, actor: str) -> bool:
        """A firm whose people sell. Raises Refused."""
        code = _code(code)
        if not name.strip():
            raise Refused("The name of the agency is missing. What to do: give it; the card shows it of partners.")
        facts = {"name": name.strip(), "business": business.strip(), "own": own}
        try:
            agency_of(Entry(self.source, code, own=facts))
        except Held as error:
            raise Refused(error.message) from error
        changed = self.kept.put_agency(self.source, code, facts, by=actor)
        if changed:
            self._note(actor, "reps.agency", f"agency/{code}", facts)
        return changed

    def contacts(self, agency: str) -> list[Contact]:
        """Contacts of the agency's business in the CRM, to choose from; the CRM is asked. Raises Refused."""
        found = next((one for one in self.directory.agencies if one.code == agency), None)
        crm = self.context.crms.get(self.flow.target)
        if found is None or not found.business or crm is None or not isinstance(crm, Owning):
            return []
        try:
            account = account_of(self.context.ledger, self.flow.target, fold_erp(found.business))
            records = crm.owned_records(account, frozenset({"contact"})) if account else None
            ids = [record.ref.id for record in records or () if record.kind == "contact"][:CONTACTS]
            parties = [(id, crm.get_party("contact", id)) for id in ids]
        except OrderwireError as error:
            raise Refused(error.message) from error
        return [
            Contact(id, party.name, next(iter(party.emails), ""), next(iter(party.phones), ""))
            for id, party in parties
            if party is not None
        ]

    # -- absences and assignments --------------------------------------------------------------------------------------

    def add_absence(self, row: AbsenceRow, *, actor: str) -> int:
        """Somebody is away. Raises Refused."""
        rep = self.directory.named(row.rep, row.agency)
        if rep is None:
            raise Refused(f"{row.rep} is the code of nobody. What to do: choose a rep of the directory.")
        if row.last is not None and row.last < row.first:
            raise Refused("The last day is before the first. What to do: look at the two days.")
        if row.deputy:
            deputy = self.directory.named(row.deputy, rep.agency) or self.directory.named(row.deputy)
            if deputy is None or deputy == rep:
                raise Refused("The deputy is nobody else of the directory. What to do: choose another rep.")
        (id,) = self.kept.add_absences(self.source, [row], by=actor)
        last = row.last.isoformat() if row.last else ""
        facts = {"first": row.first.isoformat(), "last": last, "deputy": row.deputy}
        self._note(actor, "reps.absence", f"rep/{row.rep}", facts)
        return id

    def remove_absence(self, id: int, *, actor: str) -> None:
        """It is none. Raises Unknown."""
        row = next((one for one in self.kept.absences(self.source) if one.id == id), None)
        if row is None or not self.kept.remove_absences(self.source, [id]):
            raise Unknown("There is no such absence any more. What to do: look at the list again.")
        self._note(actor, "reps.absence.remove", f"rep/{row.rep}", {"first": row.first.isoformat()})

    def add_assignment(self, row: AssignmentRow, *, actor: str) -> int:
        """Somebody serves. Raises Refused."""
        if self.directory.named(row.rep, row.agency) is None:
            raise Refused(f"{row.rep} is the code of nobody. What to do: choose a rep of the directory.")
        if row.last is not None and row.first is not None and row.last < row.first:
            raise Refused("The last day is before the first. What to do: look at the two days.")
        if (row.subject == "team") == bool(row.subject_id):
            raise Refused(
                "Whom the rep serves is not clear. What to do: give a number, or choose the team without one."
            )
        if row.subject == "region" and row.subject_id not in {one.key.id for one in self.directory.regions}:
            raise Refused(f"There is no region {row.subject_id}. What to do: choose one of the directory.")
        (id,) = self.kept.add_assignments(self.source, [row], by=actor)
        facts = {"rep": row.rep, "role": row.role, "first": str(row.first or ""), "last": str(row.last or "")}
        self._note(actor, "reps.assignment", f"{row.subject}/{row.subject_id}", facts)
        return id

    def remove_assignment(self, id: int, *, actor: str) -> None:
        """Nobody entered that. Raises Unknown."""
        row = next((one for one in self.kept.assignments(self.source) if one.id == id), None)
        if row is None or not self.kept.remove_assignments(self.source, [id]):
            raise Unknown("There is no such assignment any more. What to do: look at the list again.")
        self._note(
            actor, "reps.assignment.remove", f"{row.subject}/{row.subject_id}", {"rep": row.rep, "role": row.role}
        )

    def _note(self, actor: str, action: str, subject: str, facts: Mapping[str, Any]) -> None:
        self.audit.note(actor, action, subject, {"source": self.source, **facts})
        self.bell()


def _code(text: str) -> str:
    code = text.strip()
    if not code or len(code) > CODE or not code.isprintable():
        raise Refused(
            f"A code has 1 to {CODE} characters that can be seen. What to do: give the code as the ERP writes it."
        )
    return code
