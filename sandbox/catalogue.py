"""The demo shop's catalogue, which the stand-in store sells and the stand-in CRM knows: OF-100 and following."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Article:
    """One article: net price in EUR, VAT rate in percent, pieces in stock, and when to reorder."""

    sku: str
    name: str
    price: Decimal
    vat: Decimal
    stock: int
    reorder_level: int


def _article(sku: str, name: str, price: str, vat: str, stock: int, level: int) -> Article:
    return Article(sku, name, Decimal(price), Decimal(vat), stock, level)


ARTICLES: tuple[Article, ...] = (
    _article("OF-100", "Copy paper A4, 500 sheets", "4.29", "19", 1200, 200),
    _article("OF-101", "Desk lamp, dimmable", "39.90", "19", 60, 15),
    _article("OF-102", "Office chair Ergo", "249.00", "19", 24, 6),
    _article("OF-103", "Standing desk 160 cm", "489.00", "19", 12, 4),
    _article("OF-104", "Book: Keeping Good Records", "27.95", "7", 80, 10),
    _article("OF-105", "Coffee beans, 1 kg", "16.45", "7", 150, 30),
    _article("OF-106", "Whiteboard 90 x 120 cm", "84.50", "19", 30, 8),
    _article("OF-107", "Ballpoint pens, box of 50", "12.75", "19", 400, 80),
    _article("OF-108", "Stapler, 30 sheets", "11.20", "19", 140, 25),
    _article("OF-109", "Staples 24/6, 5000 pieces", "3.15", "19", 600, 100),
    _article("OF-110", "Ring binder A4, blue", "2.85", "19", 900, 150),
    _article("OF-111", "Index dividers, set of 12", "1.95", "19", 700, 120),
    _article("OF-112", "Sticky notes, 12 pads", "8.40", "19", 500, 90),
    _article("OF-113", "Envelopes C5, box of 500", "21.30", "19", 220, 40),
    _article("OF-114", "Packing tape, 6 rolls", "9.99", "19", 310, 60),
    _article("OF-115", "Cardboard box, medium", "1.49", "19", 2000, 400),
    _article("OF-116", "Label printer", "129.00", "19", 18, 5),
    _article("OF-117", "Labels 62 x 29 mm, roll", "14.35", "19", 260, 50),
    _article("OF-118", "Monitor arm", "79.90", "19", 45, 10),
    _article("OF-119", "USB-C dock", "159.00", "19", 33, 8),
    _article("OF-120", "Keyboard, silent", "44.90", "19", 75, 15),
    _article("OF-121", "Mouse, vertical", "36.50", "19", 82, 15),
    _article("OF-122", "Headset with cable", "52.00", "19", 58, 12),
    _article("OF-123", "Webcam 1080p", "64.99", "19", 40, 10),
    _article("OF-124", "Desk mat, felt", "24.60", "19", 95, 20),
    _article("OF-125", "Foot rest", "31.75", "19", 48, 10),
    _article("OF-126", "Paper shredder P-4", "118.40", "19", 21, 5),
    _article("OF-127", "Waste bin, steel", "17.80", "19", 66, 12),
    _article("OF-128", "Wall clock", "22.15", "19", 54, 10),
    _article("OF-129", "Pot plant, delivered", "34.00", "7", 26, 6),
    _article("OF-130", "Green tea, 100 bags", "7.25", "7", 180, 30),
    _article("OF-131", "Calculator, printing", "47.35", "19", 29, 6),
)
BY_SKU = {article.sku: article for article in ARTICLES}
