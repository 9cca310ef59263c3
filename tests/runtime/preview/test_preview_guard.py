"""Test the preview's addresses, which requests it accepts, and the error of a base install."""

from __future__ import annotations

import builtins
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt.errors import PreviewError
from fastsam_trt.preview import Address, PreviewServer, change_requests, changes, web_app
from support.preview_run import Run, change_prompts, send_request, serving

_TYPES = {"/": "text/html", ".css": "text/css", ".js": "text/javascript"}
_NAMESPACE = b"http://www.w3.org/2000/svg"  # a name, not an address
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        yield made


def test_the_page_is_complete_and_loads_nothing_from_elsewhere(run: Run) -> None:
    for path in web_app.PAGE.paths:
        kind = _TYPES[path[path.rfind(".") :] if "." in path else path]
        code, body, headers = send_request(run, path=path)
        assert code == 200
        assert headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert b"://" not in body.replace(b"${scheme}//", b"").replace(_NAMESPACE, b"")
        assert not re.search(rb"innerHTML|insertAdjacentHTML|document\.write|eval\(| style=| on[a-z]+=", body)
        assert headers["Content-Security-Policy"] == _POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert not [name for name in headers if name.startswith("Access-Control")]
    page = send_request(run)[1].decode()
    for name in re.findall(r'(?:href|src)="([^":]+)"', page):
        assert f"/{name}" in web_app.PAGE.paths
    assert send_request(run, path="/nothing")[0] == 404
    assert send_request(run, path="/../server.py")[0] == 404


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"{", 400, "expected JSON"),
        (b"[" * 9000, 400, "expected JSON"),
        (b"\xff", 400, "expected JSON"),
        ({"prompts": "dog"}, 400, "prompts"),
        ({"prompts": [1]}, 400, "prompts"),
        (["dog"], 400, "prompts"),
        ({}, 400, "prompts"),
        ({"prompts": [" "]}, 400, "expected printable text"),
        ({"prompts": ["a\nb"]}, 400, "one line"),
        (b'{"prompts": ["\\ud800"]}', 400, "expected printable text"),
        ({"prompts": ["x"] * (change_requests.MOST_PROMPTS + 1)}, 400, "at most 16 prompts"),
        ({"prompts": ["x" * (change_requests.LONGEST_PROMPT + 1)]}, 400, "200 characters"),
        ({"prompts": [], "rest": "x" * changes.LONGEST_BODY}, 413, "at most 16384 bytes"),
    ],
)
def test_invalid_bodies_are_refused(run: Run, body: Any, code: int, message: str) -> None:
    status, answer = change_prompts(run, body)
    assert (status, answer["prompts"]) == (code, ["cat"])
    assert message in answer["error"]
    assert run.requested == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_only_json_is_accepted_because_other_pages_can_post_the_rest(run: Run, kind: str) -> None:
    assert change_prompts(run, {"prompts": ["dog"]}, Content_Type=kind)[0] == 415
    assert run.requested == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost.evil.example", "8.8.8.8", "a@127.0.0.1", ""]
)
def test_another_host_is_refused_everywhere(run: Run, host: str) -> None:
    host = host.format(port=run.server.address.port)
    for method, path in (("GET", "/"), ("GET", "/watch"), ("GET", "/nothing"), ("POST", "/prompts")):
        code, body, _ = send_request(
            run,
            method,
            path,
            b'{"prompts": []}' if method == "POST" else None,
            Host=host,
            Content_Type="application/json",
        )
        assert code in (400, 403)  # without a Host header it is not HTTP/1.1
        assert b"cat" not in body
    assert run.requested == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:{port}", "LOCALHOST:9000", "[::1]:{port}"])
def test_loopback_by_any_name_is_served(run: Run, host: str) -> None:
    assert send_request(run, Host=host.format(port=run.server.address.port))[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "http://127.0.0.1", "file://"])
def test_another_origin_is_refused(run: Run, origin: str) -> None:
    code, _, _ = send_request(
        run, "POST", "/prompts", b'{"prompts": []}', Origin=origin, Content_Type="application/json"
    )
    assert (code, run.requested) == (403, [])
    assert send_request(run, path="/watch", Origin=origin, Upgrade="websocket", Connection="Upgrade")[0] == 403


def test_a_host_that_other_machines_can_reach_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    def make(host: str) -> None:
        PreviewServer(Address(host, 0), tuple, lambda prompts: None, dict).close()

    make("127.0.0.1")
    assert not caplog.records
    make("0.0.0.0")
    assert "anyone who can reach it sees the video and can change what is selected" in caplog.text


def test_a_port_in_use_is_refused_at_once(run: Run) -> None:
    found = f"found {run.server.address} in use"
    text = f"--preview: expected a free port, {found}; choose another address with --preview HOST:PORT"
    with pytest.raises(PreviewError) as caught:
        PreviewServer(run.server.address, tuple, lambda prompts: None, dict)
    assert str(caught.value) == text
    code = (
        "from fastsam_trt.preview import PreviewServer, parse_address\n"
        f"PreviewServer(parse_address('{run.server.address}'), tuple, print, dict)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert text in done.stderr


@pytest.mark.parametrize(
    ("host", "message"), [("192.0.2.1", "an address of this machine"), ("no.such.invalid", "a host")]
)
def test_hosts_of_other_machines_are_refused(host: str, message: str) -> None:
    with pytest.raises(PreviewError, match=message):
        PreviewServer(Address(host, 0), tuple, lambda prompts: None, dict)


def test_a_name_with_several_addresses_uses_one_port() -> None:
    with PreviewServer(Address("localhost", 0), tuple, lambda prompts: None, dict) as server:
        assert len({each.getsockname()[1] for each in server._thread._sockets}) == 1
        for each in server._thread._sockets:
            socket.create_connection(each.getsockname()[:2], timeout=60).close()


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "aiohttp":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PackagesMissingError, match=r"expected aiohttp.*pip install 'fastsam-trt\[preview\]'"):
        PreviewServer(Address("127.0.0.1", 0), tuple, lambda prompts: None, dict)


def test_importing_the_preview_does_not_load_the_server() -> None:
    code = "import sys, fastsam_trt.preview; assert 'aiohttp' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
