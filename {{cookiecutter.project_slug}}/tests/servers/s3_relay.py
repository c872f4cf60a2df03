"""A proxy before rclone's S3 server that corrects a status code: `python s3_relay.py PORT SOCKET COMMAND…`.

rclone responds to a range request with 200 and `Content-Range`. RFC 9110 (section 15.3.7) requires 206, other S3
servers send it, and strict clients reject 200. Everything else passes unchanged.
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
    disable_nagle_algorithm = True  # it delays a body until its headers are acknowledged

    def relay(self) -> None:
        upstream = Upstream("rclone")
        try:
            self._forward_request(upstream)
            self._forward_response(upstream.getresponse())
        except OSError:  # the client or rclone closed the connection
            self.close_connection = True
        finally:
            upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = relay  # noqa: N815 - the library's names

    def _forward_request(self, upstream: Upstream) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # signed, so forwarded unchanged
            upstream.putheader(name, value)
        upstream.endheaders()
        left = int(self.headers.get("Content-Length", 0))
        while left and (piece := self.rfile.read(min(left, PIECE))):
            upstream.send(piece)
            left -= len(piece)

    def _forward_response(self, response: HTTPResponse) -> None:
        partial = response.status == 200 and "Content-Range" in response.headers
        self.send_response_only(206 if partial else response.status)
        for name, value in response.getheaders():
            if name != "Transfer-Encoding":
                self.send_header(name, value)
        if "Content-Length" not in response.headers:
            self.send_header("Connection", "close")  # the end of the connection ends the body
        self.end_headers()
        shutil.copyfileobj(response, self.wfile, PIECE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


class Listener(ThreadingHTTPServer):
    """Accepts many clients at the same time."""

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
