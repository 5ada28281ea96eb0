"""Order confirmations and invoices: what stands on them, in the customer's language, and as PDF. Pure: no clock, no network."""

from mapping.papers.letter import Note, letter_of
from mapping.papers.paper import Amount, Facts, Item, Paper, paper_of
from mapping.papers.pdf import pdf_of
from mapping.papers.words import LANGUAGES, language_of

__all__ = ["LANGUAGES", "Amount", "Facts", "Item", "Note", "Paper", "language_of", "letter_of", "paper_of", "pdf_of"]
