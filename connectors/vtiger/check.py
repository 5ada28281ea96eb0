"""What `orderwire check` asks a vtiger: login, rights, fields, owners, taxes, decimals. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.roles import CrmProduct, Finding, Tier
from connectors.vtiger.client import Client
from connectors.vtiger.describe import Modules
from connectors.vtiger.products import Products
from connectors.vtiger.settings import MODULES, Module, VtigerSettings
from core.errors import OrderwireError
from core.money import DECIMALS
from mapping.vtiger.words import INVOICE_STATUS, ORDER_STATUS

MENU: Final = {
    "Accounts": "Organizations",
    "Contacts": "Contacts",
    "Leads": "Leads",
    "SalesOrder": "Sales Order",
    "Invoice": "Invoice",
}
"""How people call the modules."""

KINDS: Final = {
    "Accounts": "account",
    "Contacts": "contact",
    "Leads": "lead",
    "SalesOrder": "order",
    "Invoice": "invoice",
}

TIERS: Final = {
    Tier.UPSERT: "created again or changed in one step: after a lost answer it is sent again at once",
    Tier.REFUSES_DUPLICATES: "vtiger refuses a second one with our external id: after a lost answer it is looked up and "
    "tried again at once",
    Tier.NOTHING: "vtiger takes a second one with our external id: after a lost answer Orderwire waits for the hold, looks, "
    "then creates",
}
"""What a tier means, in plain words."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the single looks need."""

    settings: VtigerSettings
    client: Client
    modules: Modules
    products: Products
    converts: Callable[[], bool]
    creation: Callable[[str], Tier]
    user: Mapping[str, Any]

    @property
    def admin(self) -> bool:
        """Only administrators see users."""
        return self.user.get("is_admin") == "on"


def run(
    settings: VtigerSettings,
    client: Client,
    modules: Modules,
    products: Products,
    converts: Callable[[], bool],
    creation: Callable[[str], Tier],
) -> list[Finding]:
    """All findings, in the order in which a person would mend them. Without a login there is only one."""
    try:
        user = client.login()
    except OrderwireError as error:
        return [_problem("login", error)]
    inspection = Inspection(settings, client, modules, products, converts, creation, user)
    found = [_login(inspection), _version(inspection)]
    for look in (_modules, _words, _owners, _taxes, _currencies, _decimals, _products, _conversion):
        try:
            found += look(inspection)
        except OrderwireError as error:
            found.append(_problem(look.__name__.strip("_"), error))
    return found


def _problem(subject: str, error: OrderwireError) -> Finding:
    message, _, advice = error.message.partition(" What to do: ")
    return Finding(subject, "problem", message, advice)


def _login(look: Inspection) -> Finding:
    kind = "an administrator" if look.admin else "a standard user"
    return Finding("login", "ok", f"logged in as {look.settings.username}, {kind} ({look.user.get('userId', '?')})")


def _version(look: Inspection) -> Finding:
    version = str(look.user.get("vtigerVersion", ""))
    if version.partition(".")[0] in {"7", "8"}:
        return Finding("version", "ok", f"vtiger {version}")
    return Finding(
        "version", "warning", f'version "{version}" is not one this connector was made for (vtiger 7 and 8)',
        "try it on a copy of the CRM first",
    )  # fmt: skip


# -- fields and words --------------------------------------------------------------------------------------------------


def _modules(look: Inspection) -> Iterator[Finding]:
    visible = look.client.listtypes()
    for module in (*MODULES, "Products"):
        if module not in visible:
            yield Finding(
                module, "problem", f"the API user does not see the module {module}",
                "Settings > Users & Access Control > Roles / Profiles: allow view, create and edit for it",
            )  # fmt: skip
            continue
        info = look.modules.get(module, no_older_than=0)
        writable = module == "Products" or (info.createable and info.updateable)
        yield Finding(
            module, "ok" if writable else "problem", f"{module} has the id prefix {info.prefix}"
            + ("" if writable else ", but the API user may not create and edit its records"),
            "" if writable else "give the user's profile the rights to create and edit",
        )  # fmt: skip
    for module in MODULES:
        if module in visible:
            yield from _fields(look, module)


def _fields(look: Inspection, module: Module) -> Iterator[Finding]:
    have = look.modules.get(module).fields
    key = look.settings.external_field(module)
    if key not in have:
        menu = MENU[module]
        yield Finding(
            f"{module}.{key}",
            "problem",
            f"the field {key} for the external id is missing on {module}: without it nothing is found again",
            "Settings > Module Management > Module Layouts & Fields > "
            f"select {menu} > Add Custom Field: type Text, label 'External ID', length 100; then put its API "
            "name "
            f"into external_id_field{'s' if key != look.settings.external_id_field else ''} if it is not {key}",
        )
    else:
        yield Finding(f"{module}.{key}", "ok", "external id field")
        tier = look.creation(KINDS[module])
        yield Finding(f"creating {MENU[module]}", "ok", f"tier {tier.value}: {TIERS[tier]}")
    for name, setting in _configured(look.settings, module):
        if name and name not in have:
            yield Finding(
                f"{module}.{name}", "problem", f"the configured field {name} does not exist on {module}",
                f"correct {setting}, or add the field in Module Layouts & Fields",
            )  # fmt: skip


def _configured(settings: VtigerSettings, module: Module) -> tuple[tuple[str, str], ...]:
    if module == "Accounts":
        return ((settings.vat_field, "vat_field"), (settings.erp_number_field, "erp_number_field"))
    if module == "SalesOrder":
        return (
            (settings.purchase_order_field, "purchase_order_field"),
            (settings.delivery_field, "delivery_field"),
            (settings.payment_field, "payment_field"),
        )
    if module == "Invoice":
        return ((settings.invoice_number_field, "invoice_number_field"),)
    return ()


def _words(look: Inspection) -> Iterator[Finding]:
    """The words of the status tables against the picklists."""
    settings = look.settings
    for module, field, table in (
        ("SalesOrder", "sostatus", {k.value: v for k, v in ORDER_STATUS.items()} | settings.statuses),
        ("Invoice", "invoicestatus", {k.value: v for k, v in INVOICE_STATUS.items()} | settings.invoice_statuses),
        ("Leads", "leadsource", {"lead_source": settings.lead_source}),
    ):
        unknown = sorted({word for word in table.values() if not look.modules.knows_word(module, field, word)})
        yield Finding(
            f"{module}.{field}",
            "warning" if unknown else "ok",
            f"words that its picklist does not have: {', '.join(unknown)}"
            if unknown
            else "every word of the table exists",
            "add them in Settings > Picklist Editor, or change the table" if unknown else "",
        )


# -- people ------------------------------------------------------------------------------------------------------------


def _owners(look: Inspection) -> Iterator[Finding]:
    if not look.settings.owners:
        yield Finding(
            "owners", "problem", "the owners table is empty: every order would be held",
            'add names with ids, like "Anna" = "19x5" (a user) or "Sales" = "20x2" (a group)',
        )  # fmt: skip
        return
    groups = {str(row.get("id")): str(row.get("groupname", "")) for row in look.client.query("SELECT * FROM Groups;")}
    prefix = next((id.partition("x")[0] for id in groups), "20")
    for name, id in look.settings.owners.items():
        if id in groups:
            yield Finding(f"owner {name}", "ok", f"group {groups[id]} ({id})")
        elif id.startswith(f"{prefix}x"):
            yield _missing_owner(name, f"there is no group {id}")
        else:
            yield _user(look, name, id)


def _user(look: Inspection, name: str, id: str) -> Finding:
    record = look.client.retrieve(id)
    if record is None and not look.admin and id != look.user.get("userId"):
        return Finding(
            f"owner {name}", "warning", f"user {id} cannot be checked: standard users do not see other users",
            "compare the id with the address of the user's page in vtiger (record=...)",
        )  # fmt: skip
    if record is None or "user_name" not in record:
        return _missing_owner(name, f"there is no user {id}")
    if record.get("status", "Active") != "Active":
        return Finding(
            f"owner {name}", "warning", f"user {id} is inactive", "choose another owner, or activate the user"
        )
    return Finding(f"owner {name}", "ok", f"user {record.get('user_name', '')} ({id})")


def _missing_owner(name: str, message: str) -> Finding:
    advice = "correct the owners table; vtiger would keep the wrong id and say success"
    return Finding(f"owner {name}", "problem", message, advice)


# -- money -------------------------------------------------------------------------------------------------------------


def _taxes(look: Inspection) -> Iterator[Finding]:
    rows = look.client.query("SELECT * FROM Tax;")
    live = {
        str(row.get("taxname")): str(row.get("taxlabel", "")) for row in rows if str(row.get("deleted", "0")) == "0"
    }
    for slot in look.settings.tax_slots:
        known = slot in live
        yield Finding(
            f"tax {slot}",
            "ok" if known else "problem",
            f"{slot} is {live[slot]}" if known else f"vtiger has no tax {slot}: the tax of every line would be lost",
            "" if known else "Settings > Inventory > Tax Management: add it, or correct tax_slots",
        )


def _currencies(look: Inspection) -> Iterator[Finding]:
    settings = look.settings
    if not settings.currencies:
        yield Finding(
            "currencies", "problem", "the currencies table is empty: every order would be held",
            'add ISO codes with ids, like EUR = "21x1" (Settings > Currencies)',
        )  # fmt: skip
    for code, id in settings.currencies.items():
        record = look.client.retrieve(id)
        if record is None:
            level, message = (
                ("problem", "does not exist") if look.admin else ("warning", "cannot be seen by the API user")
            )
            yield Finding(f"currency {code}", "problem" if level == "problem" else "warning", f"{id} {message}",
                          "compare it with Settings > Currencies")  # fmt: skip
        elif str(record.get("currency_code", code)) != code:
            yield Finding(
                f"currency {code}", "problem", f"{id} is {record.get('currency_code')}", "correct the currencies table"
            )
        elif code not in DECIMALS:
            yield Finding(f"currency {code}", "problem", f"{code} is not an ISO 4217 currency", "correct the table")
        else:
            yield Finding(f"currency {code}", "ok", f"{record.get('currency_name', code)} ({id})")


def _decimals(look: Inspection) -> Iterator[Finding]:
    """A user without this setting stores 249.90 as 250.00 (seen on the wire)."""
    record = look.client.retrieve(str(look.user.get("userId", "")))
    value = None if record is None else str(record.get("no_of_currency_decimals", ""))
    needed = max((DECIMALS.get(code, 2) for code in look.settings.currencies), default=2)
    advice = "log in to vtiger once as this user, or set 'Number of Currency Decimals' in the user's preferences"
    if value is None:
        yield Finding("decimals", "warning", "the user's currency decimals cannot be read", advice)
    elif not value.isdigit():
        yield Finding(
            "decimals", "problem", "the API user has no number of currency decimals: vtiger rounds prices", advice
        )
    elif int(value) < needed:
        yield Finding("decimals", "warning", f"the API user has {value} currency decimals, {needed} are needed", advice)
    else:
        yield Finding("decimals", "ok", f"{value} currency decimals")


def _products(look: Inspection) -> Iterator[Finding]:
    settings = look.settings
    special = look.products.special()
    if not settings.unknown_product:
        yield Finding(
            "unknown_product", "warning", "no product carries lines with a SKU unknown to vtiger: they are held",
            "create a product with all taxes ticked (0 %), and put its part number into unknown_product",
        )  # fmt: skip
    for setting, sku in (("unknown_product", settings.unknown_product), ("fee_product", settings.fee_product)):
        if sku:
            yield _carrier(setting, sku, special.get(sku), settings.tax_slots)


def _carrier(setting: str, sku: str, product: CrmProduct | None, slots: tuple[str, ...]) -> Finding:
    if product is None:
        advice = "create it in vtiger with all taxes ticked (0 %), or correct the part number"
        return Finding(setting, "problem", f"there is no product with the part number {sku}", advice)
    if not product.taxes & set(slots):
        advice = "open the product in vtiger and tick the tax under Pricing (0 % is enough)"
        return Finding(
            setting, "problem", f"product {sku} has none of {', '.join(slots)}: its lines' tax would not count", advice
        )
    if not product.active:
        return Finding(setting, "warning", f"product {sku} is inactive", "activate it in vtiger")
    return Finding(setting, "ok", f"{product.name} ({product.id})")


def _conversion(look: Inspection) -> Iterator[Finding]:
    how = "" if look.settings.convert_leads == "auto" else " (configured)"
    if look.converts():
        yield Finding("convertlead", "ok", f"leads are converted by vtiger{how}")
    else:
        yield Finding(
            "convertlead",
            "ok",
            f"vtiger cannot convert leads over its web service{how}: account and contact are created",
        )
