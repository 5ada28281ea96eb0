"""convertlead, as servers with PHP 7 answer it: a lead becomes an account and a contact (and an opportunity)."""

from __future__ import annotations

from typing import Any

from sandbox.crm import values
from sandbox.crm.errors import WsError
from sandbox.crm.people import User
from sandbox.crm.records import Records
from sandbox.crm.store import Row

Json = dict[str, Any]

_ACCOUNT = {
    "accountname": "company",
    "phone": "phone",
    "fax": "fax",
    "website": "website",
    "email1": "email",
    "industry": "industry",
    "rating": "rating",
    "employees": "noofemployees",
    "annual_revenue": "annualrevenue",
    "description": "description",
} | {
    f"{kind}_{ours}": theirs
    for kind in ("bill", "ship")
    for ours, theirs in (
        ("street", "lane"),
        ("city", "city"),
        ("state", "state"),
        ("code", "code"),
        ("country", "country"),
        ("pobox", "pobox"),
    )
}
_CONTACT = {
    "lastname": "lastname",
    "firstname": "firstname",
    "phone": "phone",
    "mobile": "mobile",
    "fax": "fax",
    "email": "email",
    "secondaryemail": "secondaryemail",
    "title": "designation",
    "leadsource": "leadsource",
    "description": "description",
    "mailingstreet": "lane",
    "mailingcity": "city",
    "mailingstate": "state",
    "mailingcountry": "country",
    "mailingpobox": "pobox",
}
"""The lead's postcode is not copied to the contact (seen on the wire)."""
_MAPPED = {"Accounts": _ACCOUNT, "Contacts": _CONTACT, "Potentials": {"leadsource": "leadsource"}}


def convert(records: Records, user: User, element: Json) -> Json | None:
    """Convert all or nothing. Accounts of the same name are reused. No entities: answers null, changes nothing."""
    lead = records.row(element.get("leadId"))
    if lead.converted:
        raise WsError("LEAD_ALREADY_CONVERTED", "Lead is already converted")
    wanted = element.get("entities") or {}
    if not isinstance(wanted, dict) or not wanted:
        return None
    owner = str(element.get("assignedTo") or lead.values["assigned_user_id"])
    made: dict[str, str] = {}
    first_new = records.store.last_number + 1
    try:
        for name in ("Accounts", "Contacts", "Potentials"):
            entity = wanted.get(name)
            if isinstance(entity, dict) and entity.get("create"):
                made[name] = _entity(records, user, lead, name, entity, made, owner)
    except WsError:
        for number in range(first_new, records.store.last_number + 1):
            records.store.delete(records.store.rows[number])
        raise
    records.store.change(lead, {"modifiedtime": values.now_text()})
    lead.converted = True
    records.store.hide(lead)
    return made or None


def _entity(records: Records, user: User, lead: Row, name: str, entity: Json, made: dict[str, str], owner: str) -> str:
    fields: Json = {ours: lead.values[theirs] for ours, theirs in _MAPPED[name].items() if lead.values[theirs]}
    fields |= {key: value for key, value in entity.items() if key not in {"create", "name"}}
    fields |= {"assigned_user_id": owner, "isconvertedfromlead": "1"}
    if name == "Contacts" and "Accounts" in made:
        fields["account_id"] = made["Accounts"]
    if name == "Potentials":
        fields |= {"related_to": made.get("Accounts", ""), "contact_id": made.get("Contacts", "")}
    if name == "Accounts":
        module = records.store.schema.modules["Accounts"]
        for same in records.store.with_value(module, "accountname", str(fields.get("accountname", ""))):
            return same.id
    return str(records.create(user, name, fields)["id"])
