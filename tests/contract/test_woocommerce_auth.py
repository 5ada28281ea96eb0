"""Basic over TLS, OAuth 1.0a over plain HTTP: checked the way the shop's server checks it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest

from connectors import woocommerce
from connectors.woocommerce import WooCommerceSettings
from core.errors import ConfigurationProblem

SECRET = "cs_ümläut&secret%"


def read(url: str, auth: str = "auto") -> list[httpx.Request]:
    """Two reads with special characters in a parameter; what was sent."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=[])

    secrets = {"consumer_key": "env:WOO_TEST_KEY", "consumer_secret": "env:WOO_TEST_SECRET"}
    values = {"name": "woo", "url": url, "auth": auth, **secrets}
    connector = woocommerce.build(WooCommerceSettings.model_validate(values), transport=httpx.MockTransport(answer))
    connector.find_by_number("A&B=1/2 ~ä+%")
    return sent


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WOO_TEST_KEY", "ck_test")
    monkeypatch.setenv("WOO_TEST_SECRET", SECRET)


@pytest.mark.parametrize(("url", "auth"), [("https://shop.example", "auto"), ("http://127.0.0.1:8080", "basic")])
def test_basic(url: str, auth: str) -> None:
    for request in read(url, auth):
        expected = base64.b64encode(f"ck_test:{SECRET}".encode()).decode()
        assert request.headers["authorization"] == f"Basic {expected}"
        assert "oauth" not in str(request.url)


@pytest.mark.parametrize(("url", "auth"), [("http://shop.example:8080/de", "auto"), ("https://shop.example", "oauth1")])
def test_oauth_signature_is_what_the_server_computes(url: str, auth: str) -> None:
    requests = read(url, auth)
    assert len(requests) == 2
    nonces = set()
    for request in requests:
        assert "authorization" not in request.headers
        assert SECRET not in str(request.url)
        parts = urlsplit(str(request.url))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        assert query["search"] == "A&B=1/2 ~ä+%"
        nonces.add(query["oauth_nonce"])
        given = query.pop("oauth_signature")
        # As WC_REST_Authentication does: sorted, encoded twice, joined; the key is the secret and an empty token.
        normal = "&".join(sorted(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query.items()))
        where = quote(f"{parts.scheme}://{parts.netloc}{parts.path}", safe="~")
        base = f"GET&{where}&{quote(normal, safe='~')}"
        key = f"{quote(SECRET, safe='~')}&".encode()
        assert query["oauth_signature_method"] == "HMAC-SHA256"
        assert given == base64.b64encode(hmac.new(key, base.encode(), hashlib.sha256).digest()).decode()
    assert len(nonces) == 2, "the server refuses a nonce that it has seen"


def test_a_missing_key_is_named_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WOO_TEST_SECRET")
    with pytest.raises(ConfigurationProblem, match="WOO_TEST_SECRET"):
        read("https://shop.example")


@pytest.mark.parametrize(
    "url",
    ["shop.example", "ftp://shop.example", "https://", "https://ck:cs@shop.example", "https://shop.example/?rest=1"],
)
def test_an_address_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        read(url)
