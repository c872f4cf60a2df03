"""Stands before rclone's S3 server and corrects a status: ``python s3_relay.py PORT SOCKET COMMAND…``.

rclone answers a request for a range with 200 and ``Content-Range`` where RFC 9110 (section 15.3.7) and every S3 server
have 206, and clients that look refuse what they get. All else is passed on as it is.
"""

import shutil
import signal
import subprocess
import sys
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_UNIX, socket

PORT, SOCKET, *COMMAND = sys.argv[1:]
PIECE = 64 * 1024


class Upstream(HTTPConnection):
    """A connection to rclone, through its socket."""

    def connect(self) -> None:
        self.sock = socket(AF_UNIX)
        self.sock.connect(SOCKET)


class Relay(BaseHTTPRequestHandler):
    """One client's connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which would keep a body back until its headers are acknowledged

    def relay(self) -> None:
        upstream = Upstream("rclone")
        try:
            self._ask(upstream)
            self._answer(upstream.getresponse())
        except OSError:  # one of the two is gone
            self.close_connection = True
        finally:
            upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = relay  # noqa: N815  the library's names

    def _ask(self, upstream: Upstream) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # signed, and so passed on to the letter
            upstream.putheader(name, value)
        upstream.endheaders()
        left = int(self.headers.get("Content-Length", 0))
        while left and (piece := self.rfile.read(min(left, PIECE))):
            upstream.send(piece)
            left -= len(piece)

    def _answer(self, response: HTTPResponse) -> None:
        partial = response.status == 200 and "Content-Range" in response.headers
        self.send_response_only(206 if partial else response.status)
        for name, value in response.getheaders():
            if name != "Transfer-Encoding":
                self.send_header(name, value)
        if "Content-Length" not in response.headers:
            self.send_header("Connection", "close")  # which then tells where the body ends
        self.end_headers()
        shutil.copyfileobj(response, self.wfile, PIECE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


class Listener(ThreadingHTTPServer):
    """Many clients at a time, who may come in a crowd."""

    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    with Listener(("127.0.0.1", int(PORT)), Relay) as listener, subprocess.Popen(COMMAND) as rclone:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            listener.serve_forever()
        finally:
            rclone.terminate()


main()
