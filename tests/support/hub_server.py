"""A hub on loopback that speaks the protocol of the Hugging Face Hub, and a storage server behind it.

What it does is what the public hub documents and huggingface_hub relies on: a description of a repository with the
sizes and hashes of its files, small files served from git with the id of the blob as ETag, large ones redirected to
storage with `X-Linked-Size` and `X-Linked-ETag`, range requests, and error codes in `X-Error-Code`.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from support.hub_state import Fault, HubServer, git_id, is_large, sha256_of

__all__ = ["HubServer", "git_id", "hub_server"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)  # a proxy gets whole addresses
        hub.requests.append((self.command, self.path, {key.lower(): text for key, text in self.headers.items()}))
        fault = hub.take_fault(path)
        if fault and fault.kind in ("status", "html", "silent", "redirect"):
            self._fail(fault)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._describe(match[1], match[2] or "main")
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(match[1], match[2], match[3], fault)
        elif match := re.fullmatch(r"/storage/(\w+)", path):
            self._store(match[1], fault)
        elif path.startswith("/plain/") and path[7:] in hub.plain:
            content = hub.plain[path[7:]]
            etag = f'"{git_id(content)}"'
            self._send(content, {"ETag": etag, **hub.plain_headers}, fault)
        else:
            self._answer(404, b"not found", {})

    def _describe(self, name: str, revision: str) -> None:
        repository = self.server.hub.repositories.get(name)
        if repository is None or (repository.private_for and not self._has(repository.private_for)):
            self._error(401, "RepoNotFound", "Invalid username or password.")
            return
        commit = repository.commit_of(revision)
        if commit not in repository.commits:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        siblings: list[dict[str, Any]] = []
        for path, content in repository.commits[commit].items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_id(content)}
            if is_large(path, content):
                digest = sha256_of(content)
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 133}
                entry["blobId"] = git_id(f"the pointer of {digest}".encode())
            siblings.append(entry)
        document = {
            "id": name, "sha": commit, "private": bool(repository.private_for), "tags": ["onnx"],
            "gated": "manual" if repository.gated_for else False, "cardData": repository.card, "siblings": siblings,
        }  # fmt: skip
        self._answer(200, json.dumps(document).encode(), {"Content-Type": "application/json; charset=utf-8"})

    def _resolve(self, name: str, revision: str, path: str, fault: Fault | None) -> None:
        repository = self.server.hub.repositories.get(name)
        if repository is None:
            self._error(401, "RepoNotFound", "Invalid username or password.")
            return
        if repository.gated_for and not self._has(repository.gated_for):
            sent = "Authorization" in self.headers
            self._error(403 if sent else 401, "GatedRepo", "Access to this model is restricted.")
            return
        commit = repository.commit_of(revision)
        if commit not in repository.commits:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        content = repository.commits[commit].get(path)
        if content is None:
            self._error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
            return
        headers = {"X-Repo-Commit": commit}
        if is_large(path, content):
            digest = sha256_of(content)
            headers |= {
                "X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{digest}"',
                "Location": f"{self.server.hub.storage}/storage/{digest}?signature=secret",
            }  # fmt: skip
            self._answer(302, b"Found. Redirecting", headers)
        else:
            self._send(content, {**headers, "ETag": f'"{git_id(content)}"'}, fault)

    def _store(self, digest: str, fault: Fault | None) -> None:
        for repository in self.server.hub.repositories.values():
            for files in repository.commits.values():
                for content in files.values():
                    if sha256_of(content) == digest:
                        self._send(content, {"ETag": f'"{digest}"'}, fault)
                        return
        self._answer(403, b"AccessDenied", {})

    def _has(self, token: str) -> bool:
        return self.headers.get("Authorization") == f"Bearer {token}"

    def _send(self, content: bytes, headers: dict[str, str], fault: Fault | None) -> None:
        """Send a file, or the part of it that a range asks for, or what a fault makes of it."""
        kind = fault.kind if fault else ""
        if fault and (kind == "content" or (kind == "no-length" and fault.value)):
            content = fault.value
        elif fault and kind == "short":
            content = content[: fault.value]
        begin, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same = self.headers.get("If-Range") in (None, headers.get("ETag"))
        if asked and is_same and kind != "no-range":
            begin, status = int(asked[1]), 206
            if begin >= len(content):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            begin = 0 if kind == "other-range" else begin
            headers = {**headers, "Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        headers = {"Content-Type": "application/octet-stream", **headers, **(fault.headers if fault else {})}
        body = gzip.compress(content) if kind == "gzip" else content[begin:]
        headers |= {"Content-Encoding": "gzip"} if kind == "gzip" else {}
        self._head(status, headers, None if kind == "no-length" else len(body))
        if self.command == "HEAD":
            return
        if fault and kind in ("cut", "stall"):
            self.wfile.write(body[: max(fault.value - begin, 0)])
            self.wfile.flush()
            if kind == "stall":
                self.server.hub.closing.wait(60)
            self.close_connection = True
            return
        with suppress(ConnectionError):  # the client may have seen enough
            self.wfile.write(body)

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "silent":
            self.server.hub.closing.wait(60)
            self.close_connection = True
        elif fault.kind == "redirect":
            self._answer(302, b"", {"Location": fault.value})
        elif fault.kind == "html":
            page = b"<!DOCTYPE html><html><title>Please log in</title></html>"
            self._answer(200, page, {"Content-Type": "text/html; charset=utf-8", **fault.headers})
        else:
            self._answer(fault.value, b"out of order", fault.headers)

    def _error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"error": message}).encode()
        self._answer(status, body, {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, headers, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str], length: int | None) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        if length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: HubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let clients go away in silence."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Run a hub without repositories."""
    hub = HubServer()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = hub
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
