"""A shop's REST interface that is poison for some orders: an answer of 50 MB, one that never ends, one that takes long."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Collection, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HUGE = 50 * 1024 * 1024
SLOW = 0.5
"""Seconds: time enough to be killed in, and within every time-out."""


class PoisonStore:
    """Answers `GET .../orders/<id>`; any other order does not exist. Asks nobody for a signature."""

    def __init__(self, dripping: Collection[int], huge: Collection[int], slow: Mapping[int, Mapping[str, Any]]) -> None:
        self.dripping = {str(id) for id in dripping}
        self.huge = {str(id) for id in huge}
        self.slow = {str(id): json.dumps(document).encode() for id, document in slow.items()}
        self.closing = threading.Event()
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                id = self.path.partition("?")[0].rpartition("/")[2]
                with contextlib.suppress(OSError):
                    store.answer(self, id)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, handler: BaseHTTPRequestHandler, id: str) -> None:
        """One request."""
        if id in self.dripping:
            self._head(handler, 200, HUGE)
            while not self.closing.is_set():  # a byte now and then: no read ever takes too long
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.2)
        elif id in self.huge:
            self._head(handler, 200, HUGE)
            part = b" " * 65_536
            for _ in range(HUGE // len(part)):
                handler.wfile.write(part)
        elif id in self.slow:
            time.sleep(SLOW)
            self._head(handler, 200, len(self.slow[id]))
            handler.wfile.write(self.slow[id])
        else:
            body = b'{"code":"woocommerce_rest_shop_order_invalid_id","message":"Invalid ID.","data":{"status":404}}'
            self._head(handler, 404, len(body))
            handler.wfile.write(body)

    @staticmethod
    def _head(handler: BaseHTTPRequestHandler, status: int, length: int) -> None:
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(length))
        handler.end_headers()
