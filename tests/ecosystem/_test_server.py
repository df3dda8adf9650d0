"""Stands in for the package test_server of 2017, which PySocks' tests use: it is too old to run.

An HTTP server that gives the response it is told and remembers the last request; no more of it
than those tests need.
"""

from __future__ import annotations

import http.server
import threading
import time
from typing import Any


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        response = dict(self.server.response)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.request.update(headers=headers, client_ip=self.client_address[0])
        time.sleep(response.get("sleep", 0))
        body = response.get("data", b"")
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.wfile.write(head + body)  # at once: the tests read once

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class TestServer:
    """The names of the original."""

    __test__ = False

    def __init__(self, port: int, address: str, engine: str) -> None:
        self._server: Any = http.server.ThreadingHTTPServer((address, port), _Handler)
        self.request = self._server.request = {}
        self.response = self._server.response = {}

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        self.request.clear()
        self.response.clear()

    def get_url(self) -> str:
        return f"http://localhost:{self._server.server_port}/"
