"""The letter that goes with a paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.papersettings import PaperLanguage, SellerSettings
from core.visible import in_one_line
from mapping.canonical import SalesOrder
from mapping.papers.formats import Formats
from mapping.papers.paper import Facts


@dataclass(frozen=True, slots=True)
class Words:
    """{number}, {order}, {seller}, {total}."""

    hello: str
    """{name}"""
    stranger: str
    order_subject: str
    order_text: str
    invoice_subject: str
    invoice_text: str
    bye: str
    file_order: str
    file_invoice: str


_WORDS: Final[Mapping[PaperLanguage, Words]] = {
    "en": Words(
        "Dear {name},", "Dear customer,",
        "Your order {order} with {seller}",
        "Thank you for your order {order}. The confirmation is attached; the total is {total}.",
        "Invoice {number} for your order {order}",
        "The invoice {number} for your order {order} is attached; the total is {total}.",
        "Kind regards", "Order {order}", "Invoice {number}",
    ),
    "de": Words(
        "Guten Tag {name},", "Guten Tag,",
        "Ihre Bestellung {order} bei {seller}",
        "vielen Dank für Ihre Bestellung {order}. Die Auftragsbestätigung finden Sie im Anhang; der Gesamtbetrag ist {total}.",
        "Rechnung {number} zu Ihrer Bestellung {order}",
        "die Rechnung {number} zu Ihrer Bestellung {order} finden Sie im Anhang; der Gesamtbetrag ist {total}.",
        "Mit freundlichen Grüßen", "Auftrag {order}", "Rechnung {number}",
    ),
    "it": Words(
        "Gentile {name},", "Gentile cliente,",
        "Il Suo ordine {order} presso {seller}",
        "grazie per il Suo ordine {order}. La conferma è allegata; il totale è {total}.",
        "Fattura {number} per il Suo ordine {order}",
        "la fattura {number} per il Suo ordine {order} è allegata; il totale è {total}.",
        "Cordiali saluti", "Ordine {order}", "Fattura {number}",
    ),
    "fr": Words(
        "Bonjour {name},", "Bonjour,",
        "Votre commande {order} chez {seller}",
        "Merci pour votre commande {order}. La confirmation est jointe ; le total est de {total}.",
        "Facture {number} pour votre commande {order}",
        "La facture {number} pour votre commande {order} est jointe ; le total est de {total}.",
        "Cordialement", "Commande {order}", "Facture {number}",
    ),
    "ru": Words(
        "Здравствуйте, {name}!", "Здравствуйте!",
        "Ваш заказ {order} в {seller}",
        "Спасибо за ваш заказ {order}. Подтверждение приложено; итоговая сумма {total}.",
        "Счёт {number} к вашему заказу {order}",
        "Счёт {number} к вашему заказу {order} приложен; итоговая сумма {total}.",
        "С уважением", "Заказ {order}", "Счёт {number}",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Note:
    """Subject and text of the letter, and what its attachment is called."""

    subject: str
    text: str
    file: str


def letter_of(order: SalesOrder, facts: Facts, seller: SellerSettings) -> Note:
    """The letter (pure)."""
    words, formats = _WORDS[facts.language], Formats(facts.language, order.currency, seller.zone)
    # Never a format string of somebody else's: values go in, they are not read.
    values = {
        "number": in_one_line(facts.number),
        "order": in_one_line(order.number),
        "seller": in_one_line(seller.name),
        "total": formats.money(order.total),
    }
    name = in_one_line(order.customer.person.full_name)
    hello = words.hello.format(name=name) if name else words.stranger
    invoice = facts.kind == "invoice"
    text = (words.invoice_text if invoice else words.order_text).format(**values)
    return Note(
        (words.invoice_subject if invoice else words.order_subject).format(**values),
        f"{hello}\n\n{text}\n\n{words.bye}\n{values['seller']}\n",
        (words.file_invoice if invoice else words.file_order).format(**values) + ".pdf",
    )
