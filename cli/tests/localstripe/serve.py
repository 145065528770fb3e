"""Starts localstripe on a free port of the loopback, with its books in memory alone. What it answers is its own."""

import logging
import socket

from aiohttp import web
from localstripe import server

logging.basicConfig(level=logging.INFO)
server.store.dump_to_disk = lambda: None
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print("listening on http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
web.run_app(server.app, sock=listener, print=None)
