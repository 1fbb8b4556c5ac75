"""Serves somebody else's Django views as ours are served: by waitress, with as many threads.

`python -m tests.bench.plain_server LISTENER SETTINGS`, where LISTENER is the number of a socket that listens.
"""

import os
import signal
import socket
import sys

from django.core.wsgi import get_wsgi_application
from waitress.server import create_server

from config.stack.web import THREADS

if __name__ == "__main__":
    listener = socket.socket(fileno=int(sys.argv[1]))
    os.environ["DJANGO_SETTINGS_MODULE"] = sys.argv[2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    create_server(get_wsgi_application(), sockets=[listener], threads=THREADS, connection_limit=1000).run()
