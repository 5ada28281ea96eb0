"""The switches of the stand-in CRM: which install it plays and which of vtiger's traps are set."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

DISPLAY_ERRORS = ("off", "on", "notices")


@dataclass(slots=True)
class Switches:
    """`php`: 8 breaks convertlead, sync, logout and retrieve_inventory (HTTP 500, empty), 7 lets them work.
    `unique_account_names`: a second account of the same name is refused with code 0.
    `unique_external_id`: the field cf_external_id is unique too, on every module. As in vtiger's own check, a record is
    refused when *all* unique fields of its module are equal to another's, so for accounts switch the names off as well.
    `currency_decimals`: the API user's setting, "" rounds product prices to whole units (T1).
    `revise_erases_taxes`: revising a product deletes taxes and price that are not sent again (T2).
    `orphan_invoices`: an invoice for a missing order answers 500 and leaves a shell that took stock (T6).
    `display_errors`: "off" answers a crash with HTTP 500 and nothing, "on" with HTTP 200 and nothing, "notices" puts
    PHP's warnings as HTML before every answer and shows the fatal error with status 200.
    `serialise_sessions`: requests of one session wait for each other, as PHP's session files make them.
    """

    php: int = 8
    unique_account_names: bool = True
    unique_external_id: bool = False
    currency_decimals: str = "2"
    revise_erases_taxes: bool = True
    orphan_invoices: bool = True
    serialise_sessions: bool = False
    display_errors: str = "off"

    def unique_fields(self, module: str) -> list[str]:
        """The fields of a module that are made unique."""
        names = ["accountname"] if module == "Accounts" and self.unique_account_names else []
        return [*names, "cf_external_id"] if self.unique_external_id else names

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def update(self, changes: dict[str, Any]) -> None:
        """Set switches by name; ValueError names what is not a switch or has the wrong type."""
        kinds = {item.name: type(item.default) for item in fields(self)}
        for name, value in changes.items():
            if name not in kinds:
                raise ValueError(f"There is no switch {name!r}. What to do: use one of {', '.join(kinds)}.")
            if type(value) is not kinds[name]:
                raise ValueError(f"Switch {name!r} wants a {kinds[name].__name__}. What to do: send that type.")
            if name == "display_errors" and value not in DISPLAY_ERRORS:
                raise ValueError(f"display_errors is one of {', '.join(DISPLAY_ERRORS)}. What to do: choose one.")
            setattr(self, name, value)
