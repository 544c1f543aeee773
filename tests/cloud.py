"""Google's storage without Google: an emulator on a free port that can be killed and started again, and a server that refuses."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

BUCKET = "bkt"
ENVIRONMENT = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false", "NO_GCE_CHECK": "true", "GOOGLE_APPLICATION_CREDENTIALS": ""}
"""gcsfs asks whether a bucket is a zonal one over gRPC, which the emulator does not speak; no metadata server is asked."""

_SERVER = """
import socketserver, sys
from gcp_storage_emulator.__main__ import main
socketserver.TCPServer.request_queue_size = 128
main(sys.argv[1:])
"""
"""It answers one connection at a time and lets five wait; the next one would try again after a second, as Google's never does."""


class Emulator:
    """One server; what it was given stays in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """For `attune storage use`."""
        return ("--endpoint", self.endpoint, "--anonymous")

    def start(self) -> None:
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--default-bucket", BUCKET, "-q")
        command = [sys.executable, "-c", _SERVER, "-d", str(self.folder), "start", *where]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_s = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < until_s, "the emulator did not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """At a moment when its list of objects is whole on disk, which it writes in place: Google's would outlive any."""
        assert self._process is not None
        while True:
            self._process.send_signal(signal.SIGSTOP)
            if self._is_whole():
                break
            self._process.send_signal(signal.SIGCONT)
            time.sleep(0.01)
        self._process.kill()
        self._process.wait()

    def _is_whole(self) -> bool:
        try:
            json.loads((self.folder / ".cloudstorage" / ".meta").read_text())
        except FileNotFoundError:
            return True  # nothing was written yet
        except ValueError:
            return False
        return True

    def overwrite(self, stored: Path, content: bytes) -> None:
        """Uploads something else under the name of an object that it keeps."""
        self.put(stored.relative_to(self.folder / ".cloudstorage" / BUCKET).as_posix(), content)

    def put(self, name: str, content: bytes) -> None:
        """Uploads an object under that name."""
        address = f"{self.endpoint}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}"
        headers = {"Content-Type": "application/octet-stream"}
        urlopen(Request(address, content, headers, method="POST"), timeout=5).close()

    def _answers(self) -> bool:
        try:
            urlopen(f"{self.endpoint}/storage/v1/b/{BUCKET}", timeout=1).close()
        except (URLError, ConnectionError):
            return False
        return True

    def objects(self) -> list[Path]:
        """The files that it keeps, one an object."""
        return [path for path in self.folder.rglob("files/md5/*/*") if path.is_file()]


@contextmanager
def emulating(folder: Path) -> Iterator[Emulator]:
    """Runs until the block ends."""
    server = Emulator(folder)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def refusing(code: int, message: str) -> Iterator[str]:
    """The address of a server that answers everything as Google does where somebody may not."""

    class Refusal(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.dumps({"error": {"code": code, "message": message}}).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def environment() -> dict[str, str]:
    """This process's, without Google's credentials."""
    return {**os.environ, **ENVIRONMENT}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
