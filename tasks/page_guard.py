"""Who may ask the page of `scripts.demo` for what: all that its server is asked goes through here.

A page on this machine can be asked by any other page that its browser shows. Such a page's address
is in `Origin`; where its name was made to lead here (DNS rebinding), that name is in `Host`.
"""

import json
import os
import socket
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

_API = "/gradio_api/"
_UPLOAD, _FILE, _LOGIN = f"{_API}upload", f"{_API}file=", "/login"
_JOIN = f"{_API}queue/join"
# What the page asks for, and nothing else of all that Gradio answers.
_PATHS = {
    "/",
    _LOGIN,
    "/config",
    "/theme.css",
    "/favicon.ico",
    "/manifest.json",
    _UPLOAD,
    _JOIN,
} | {
    f"{_API}{name}"
    for name in "info app_id theme.css startup-events upload_progress queue/data "
    "run/predict cancel reset login_check".split()
}
_BEGINNINGS = ("/assets/", "/static/", "/svelte/", f"{_API}heartbeat/", _FILE)
_BODY = 1 << 18  # bytes of what is asked, but for uploads
_FORM = 1 << 14  # bytes of an upload around its file
_LOGINS, _MINUTE = 10, 60  # passwords that are tried in so many seconds


class RefusedError(Exception):
    """What is not answered.

    Args:
        status: of HTTP.
        text: why.
    """

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def is_loopback(host):
    """Return whether an address to listen on is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class Limits:
    """What the page's visitors may leave here.

    Attributes:
        folder: where Gradio keeps files, and the only one it may give out files of.
        host: the name or address that the page listens on.
        names: other ones by which it is reached, such as those of a proxy.
        file_bytes: of a file.
        total_bytes: of all files in the folder, uploads that are coming included.
        files: how many things may lie in the folder.
        asked: {file: pages that wait for what is said of it}.
    """

    folder: Path
    host: str
    names: tuple
    file_bytes: int
    total_bytes: int
    files: int
    coming: int = field(default=0, init=False)
    logins: deque = field(default_factory=deque, init=False)
    asked: Counter = field(default_factory=Counter, init=False)
    lock: Lock = field(default_factory=Lock, init=False)

    def reserve(self, size):
        """Count the bytes of an upload that begins; the caller takes them off when it has ended.

        Raises:
            RefusedError: it is larger than a file may be, or there is no more room.
        """
        if size > self.file_bytes + _FORM:
            raise RefusedError(413, f"A file may have {self.file_bytes / 1e6:g} MB at most.")
        lying = [path.stat().st_size for path in self.folder.rglob("*") if path.is_file()]
        if len(lying) >= self.files or sum(lying) + self.coming + size > self.total_bytes:
            raise RefusedError(503, "Too many videos are waiting; try again in some minutes.")
        self.coming += size

    def expect(self, path):
        """Count that a page waits for what is said of a file, which stays until it is answered.

        Raises:
            RefusedError: it is no file in the folder.
        """
        with self.lock:
            self.check_file(path)
            self.asked[os.path.realpath(path)] += 1

    def release(self, path):
        """Delete a file that was answered, unless others wait for it: equal uploads are one."""
        name = os.path.realpath(path)
        with self.lock:
            self.asked[name] -= 1
            if self.asked[name] <= 0:
                del self.asked[name]
                Path(path).unlink(missing_ok=True)

    def count_login(self):
        """Count that a password is tried.

        Raises:
            RefusedError: too many in the last minute.
        """
        now = time.monotonic()
        while self.logins and self.logins[0] < now - _MINUTE:
            self.logins.popleft()
        if len(self.logins) >= _LOGINS:
            raise RefusedError(429, "Too many passwords were tried; try again in a minute.")
        self.logins.append(now)

    def check_file(self, path):
        """Raise a `RefusedError` unless a path is that of a file in the folder."""
        found = Path(path).resolve() if "\0" not in path else Path()
        if not (found.is_file() and found.is_relative_to(self.folder.resolve())):
            raise RefusedError(403, "This page has no such file.")


def check_source(headers, host, names=()):
    """Raise a `RefusedError` where a name was made to lead here, or another page asks.

    Args:
        headers: {lower-case name: value} of what is asked.
        host, names: as in `Limits`.
    """
    asked, names = headers.get("host", ""), {name.lower() for name in names}
    name = urlsplit(f"//{asked}").hostname or ""
    machine = socket.gethostname().lower()
    own = {"localhost", host.lower(), machine, f"{machine}.local"} | names
    try:
        ip_address(name)  # no name leads here
    except ValueError:
        if name not in own:
            raise RefusedError(
                400,
                f"This page is not called {name!r}; use its address, or the name of its machine. "
                "--names of scripts.demo allows others.",
            ) from None
    origin = headers.get("origin")
    if origin is not None:
        source = urlsplit(origin)
        if source.netloc != asked and source.hostname not in names:
            raise RefusedError(403, f"Only the page itself may send requests, not {origin!r}.")


def _list_paths(value):
    """Yield what is told to be the path of a file, anywhere in JSON."""
    if isinstance(value, dict):
        yield from (each for key, each in value.items() if key == "path")
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _list_paths(each)


def check_body(body, check):
    """Raise a `RefusedError` where the page is given a file that nobody uploaded, or an address.

    Gradio would download from an address.

    Args:
        body: bytes.
        check: function of a path that raises it, of `Limits`.
    """
    try:
        for path in _list_paths(json.loads(body or b"null")):
            check(str(path))
    except (ValueError, RecursionError):
        raise RefusedError(400, "The request must be JSON.") from None


async def _read(receive, most):
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > most:
            raise RefusedError(413, f"The request may have {most} bytes at most.")
    return body


def _give_back(body, receive):
    """Return a `receive` that gives a body that was read, then what comes."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def give():
        return left.pop() if left else await receive()

    return give


class Guard:
    """ASGI middleware that lets through to Gradio what the page itself asks for.

    Args:
        app: the ASGI app behind it.
        limits: `Limits`.
    """

    def __init__(self, app, limits):
        self.app, self.limits = app, limits

    async def __call__(self, scope, receive, send):
        """Answer what is asked."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            await self._pass(scope, receive, send)
        except RefusedError as error:
            await _refuse(scope, send, error)

    async def _pass(self, scope, receive, send):
        headers = {
            name.decode("latin-1"): each.decode("latin-1") for name, each in scope["headers"]
        }
        check_source(headers, self.limits.host, self.limits.names)
        path, uploads = scope["path"], scope["path"] == _UPLOAD
        if scope["type"] != "http" or not (path in _PATHS or path.startswith(_BEGINNINGS)):
            raise RefusedError(404, "There is no such address here.")
        if path.startswith(_FILE):
            self.limits.check_file(path.removeprefix(_FILE))
        if scope["method"] == "POST" and not uploads:
            body = await _read(receive, _BODY)
            if path == _LOGIN:
                self.limits.count_login()
            else:
                check_body(body, self.limits.expect if path == _JOIN else self.limits.check_file)
            receive = _give_back(body, receive)
        size = 0
        if uploads:
            if not headers.get("content-length", "").isdecimal():
                raise RefusedError(411, "An upload must state its length (Content-Length).")
            size = int(headers["content-length"])
            self.limits.reserve(size)
        try:
            await self.app(scope, receive, send)
        finally:
            self.limits.coming -= size


async def _refuse(scope, send, error):
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": str(error).encode()})
