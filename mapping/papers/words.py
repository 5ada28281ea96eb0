"""The words on papers, by language; and which language a customer reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.papersettings import PaperLanguage

LANGUAGES: Final[tuple[PaperLanguage, ...]] = ("en", "de", "it", "fr", "ru")
_BY_COUNTRY: Final[Mapping[str, PaperLanguage]] = {
    **dict.fromkeys(("DE", "AT", "LI", "CH"), "de"),
    **dict.fromkeys(("IT", "SM", "VA"), "it"),
    **dict.fromkeys(("FR", "MC"), "fr"),
    **dict.fromkeys(("RU", "BY"), "ru"),
    **dict.fromkeys(("GB", "IE", "US", "AU", "NZ"), "en"),
}
LOCALES: Final[Mapping[PaperLanguage, str]] = {
    "en": "en_GB",
    "de": "de_DE",
    "it": "it_IT",
    "fr": "fr_FR",
    "ru": "ru_RU",
}
"""For numbers and dates."""


def language_of(said: str, country: str, otherwise: PaperLanguage) -> PaperLanguage:
    """What the order says (`it`, `it_IT`, `de-CH`), else the billing country's, else the flow's (pure). A language that papers
    are not written in says nothing.
    """
    code = said.strip().replace("_", "-").partition("-")[0].lower()
    spoken = next((language for language in LANGUAGES if language == code), None)
    return spoken or _BY_COUNTRY.get(country.strip().upper(), otherwise)


@dataclass(frozen=True, slots=True)
class Words:
    """One language. Sentences with `{}` take what the comment of the first language says."""

    order: str
    invoice: str
    number: str
    invoice_date: str
    order_number: str
    order_date: str
    customer_number: str
    purchase_order: str
    vat_number: str
    delivery: str
    """The address to which it is delivered."""
    article: str
    quantity: str
    price: str
    discount: str
    tax: str
    net: str
    shipping: str
    rounding: str
    net_total: str
    tax_at: str
    """{rate}"""
    total: str
    paid: str
    """{date}"""
    unpaid: str
    bank: str
    page: str
    """{page}, {pages}"""
    vat_of_seller: str


WORDS: Final[Mapping[PaperLanguage, Words]] = {
    "en": Words(
        order="Order confirmation", invoice="Invoice", number="No.", invoice_date="Invoice date",
        order_number="Order number", order_date="Order date", customer_number="Customer number",
        purchase_order="Your order", vat_number="Your VAT number", delivery="Delivery address",
        article="Article", quantity="Quantity", price="Unit price", discount="Discount", tax="Tax", net="Net amount",
        shipping="Shipping", rounding="Rounding", net_total="Net total", tax_at="Tax {rate}", total="Total",
        paid="Paid on {date}. Thank you.", unpaid="Please transfer the total, naming the number above.", bank="Bank details",
        page="Page {page} of {pages}", vat_of_seller="VAT number",
    ),
    "de": Words(
        order="Auftragsbestätigung", invoice="Rechnung", number="Nr.", invoice_date="Rechnungsdatum",
        order_number="Bestellnummer", order_date="Bestelldatum", customer_number="Kundennummer",
        purchase_order="Ihre Bestellung", vat_number="Ihre USt-IdNr.", delivery="Lieferanschrift",
        article="Artikel", quantity="Menge", price="Einzelpreis", discount="Rabatt", tax="Steuer", net="Nettobetrag",
        shipping="Versand", rounding="Rundung", net_total="Nettosumme", tax_at="Steuer {rate}", total="Gesamtbetrag",
        paid="Bezahlt am {date}. Vielen Dank.", unpaid="Bitte überweisen Sie den Gesamtbetrag unter Angabe der obigen Nummer.",
        bank="Bankverbindung", page="Seite {page} von {pages}", vat_of_seller="USt-IdNr.",
    ),
    "it": Words(
        order="Conferma d’ordine", invoice="Fattura", number="N.", invoice_date="Data fattura",
        order_number="Numero d’ordine", order_date="Data dell’ordine", customer_number="Codice cliente",
        purchase_order="Vostro ordine", vat_number="Vostra partita IVA", delivery="Indirizzo di consegna",
        article="Articolo", quantity="Quantità", price="Prezzo unitario", discount="Sconto", tax="Imposta",
        net="Importo netto", shipping="Spedizione", rounding="Arrotondamento", net_total="Totale netto",
        tax_at="Imposta {rate}", total="Totale", paid="Pagato il {date}. Grazie.",
        unpaid="Si prega di versare il totale indicando il numero sopra riportato.", bank="Coordinate bancarie",
        page="Pagina {page} di {pages}", vat_of_seller="Partita IVA",
    ),
    "fr": Words(
        order="Confirmation de commande", invoice="Facture", number="N°", invoice_date="Date de facture",
        order_number="Numéro de commande", order_date="Date de commande", customer_number="Numéro de client",
        purchase_order="Votre commande", vat_number="Votre numéro de TVA", delivery="Adresse de livraison",
        article="Article", quantity="Quantité", price="Prix unitaire", discount="Remise", tax="Taxe", net="Montant net",
        shipping="Livraison", rounding="Arrondi", net_total="Total net", tax_at="Taxe {rate}", total="Total",
        paid="Payé le {date}. Merci.", unpaid="Merci de régler le total en indiquant le numéro ci-dessus.",
        bank="Coordonnées bancaires", page="Page {page} sur {pages}", vat_of_seller="Numéro de TVA",
    ),
    "ru": Words(
        order="Подтверждение заказа", invoice="Счёт", number="№", invoice_date="Дата счёта",
        order_number="Номер заказа", order_date="Дата заказа", customer_number="Номер клиента",
        purchase_order="Ваш заказ", vat_number="Ваш ИНН / НДС", delivery="Адрес доставки",
        article="Товар", quantity="Количество", price="Цена", discount="Скидка", tax="Налог", net="Сумма без налога",
        shipping="Доставка", rounding="Округление", net_total="Итого без налога", tax_at="Налог {rate}", total="Итого",
        paid="Оплачено {date}. Спасибо.", unpaid="Пожалуйста, оплатите итоговую сумму, указав номер выше.",
        bank="Банковские реквизиты", page="Страница {page} из {pages}", vat_of_seller="ИНН / НДС",
    ),
}  # fmt: skip
