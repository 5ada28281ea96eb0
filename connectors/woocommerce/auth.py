"""How requests prove who we are: Basic over TLS, OAuth 1.0a over plain HTTP."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA256, SIGNATURE_TYPE_QUERY, Client

from connectors.woocommerce.settings import WooCommerceSettings
from core.secrets import SecretRef


class Basic(httpx.Auth):
    """Key and secret as user and password. Secrets are read when a request is made, so that a new one needs no
    restart.
    """

    def __init__(self, key: SecretRef, secret: SecretRef) -> None:
        self._key, self._secret = key, secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        yield from httpx.BasicAuth(self._key.get(), self._secret.get()).auth_flow(request)


class OAuth1(httpx.Auth):
    """OAuth 1.0a "one-legged": a signature over method, address and parameters, sent as query parameters.

    WooCommerce accepts HMAC-SHA1 and HMAC-SHA256, and refuses a nonce that it has seen: each try is signed anew.
    """

    def __init__(self, key: SecretRef, secret: SecretRef) -> None:
        self._key, self._secret = key, secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign method and address (a JSON body is no part of it)."""
        client = Client(
            self._key.get(),
            client_secret=self._secret.get(),
            signature_method=SIGNATURE_HMAC_SHA256,
            signature_type=SIGNATURE_TYPE_QUERY,
        )
        method: Any = request.method  # any word that HTTP has
        uri, _, _ = client.sign(str(request.url), http_method=method)
        request.url = httpx.URL(uri)
        yield request


def auth_for(settings: WooCommerceSettings) -> httpx.Auth:
    """The way of this connection."""
    plain_http = settings.url.startswith("http://")
    if settings.auth == "oauth1" or (settings.auth == "auto" and plain_http):
        return OAuth1(settings.consumer_key, settings.consumer_secret)
    return Basic(settings.consumer_key, settings.consumer_secret)
