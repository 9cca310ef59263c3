"""Weights that have to be fetched: a network that fails ends an export at once, and is told from wrong requests."""

from __future__ import annotations

import http.server
import importlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from fastsam_engine.concurrency import time_limit
from fastsam_export.errors import WeightsNotFoundError, WeightsUnreachableError
from fastsam_export.frameworks import downloads
from fastsam_export.frameworks.downloads import from_hub, is_network_error, why_unreachable
from fastsam_trt.cli.main import main
from support.live_senders import Server, free_port


class _Handler(http.server.BaseHTTPRequestHandler):
    requests: list[str] = []  # noqa: RUF012 - shared on purpose

    def do_HEAD(self) -> None:
        self.requests.append(self.path)
        self.send_response(int(self.path.strip("/").split("/")[0]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """A server that answers `/503` with the status 503, and so on."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def no_answer() -> str:
    """The address of a port where nothing listens."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def hub(no_answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A hub that can't be reached, and an empty cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://{no_answer}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return no_answer


@pytest.mark.parametrize(
    ("status", "found"), [(200, ""), (401, ""), (404, ""), (429, "status 429"), (503, "status 503")]
)
def test_a_server_that_answers_is_there_unless_it_is_out_of_order(server: str, status: int, found: str) -> None:
    assert why_unreachable(f"{server}/{status}") == found


def test_servers_that_do_not_answer(no_answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_unreachable(f"http://{no_answer}") == "Connection refused"
    assert why_unreachable("http://nowhere.invalid")
    ended = threading.Event()
    monkeypatch.setattr(downloads, "ANSWER_S", 0.2)

    def send_nothing(_connection: socket.socket, _number: int) -> None:
        ended.wait()

    with Server(send_nothing) as silent:
        assert why_unreachable(f"http://127.0.0.1:{silent.port}") == "none within 0.2 s"
        ended.set()


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(downloads, "ANSWER_S", 0.1)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: ended.wait(60))
    assert why_unreachable("http://hub.example") == "none within 0.1 s"
    ended.set()


def test_limited_work_returns_and_raises_as_the_work_does() -> None:
    assert time_limit.within(60, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        time_limit.within(60, lambda: 1 / 0)


def _fail(weights: str, given: dict[str, bool], error: OSError, cause: Exception | None = None) -> None:
    """Load something, with an error."""
    with from_hub(weights, "them") as arguments:
        assert arguments == given
        raise error from cause


def test_without_the_hub_only_what_was_downloaded_is_loaded(hub: str) -> None:
    with from_hub("org/name", "them") as given:
        assert given == {"local_files_only": True}
    with pytest.raises(WeightsUnreachableError, match=f"an answer of {hub}, found Connection refused; ") as caught:
        _fail("org/name", {"local_files_only": True}, OSError("not in the cache"))
    assert caught.value.exit_code == 1


def test_local_folders_need_no_hub(hub: str, tmp_path: Path) -> None:
    for weights in (str(tmp_path), "no/such/folder", str(tmp_path / "none")):
        with pytest.raises(WeightsNotFoundError, match="transformers can't load them") as caught:
            _fail(weights, {}, OSError("it is not there"))
        assert caught.value.exit_code == 2


def test_a_download_that_breaks_off_is_a_fault_of_the_network(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"{server}/200")
    with pytest.raises(WeightsUnreachableError, match="found it was reset"):
        _fail("org/name", {}, OSError("it was reset"), ConnectionResetError("by the peer"))
    with pytest.raises(WeightsNotFoundError, match="no such repository") as caught:
        _fail("org/name", {}, OSError("no such repository"))
    assert caught.value.exit_code == 2


def test_network_errors_of_all_libraries_are_known() -> None:
    import requests
    from huggingface_hub import get_session

    httpx = importlib.import_module(type(get_session()).__module__.partition(".")[0])  # or httpx2, as it has it
    for error in (httpx.ConnectError("x"), httpx.ReadTimeout("x"), requests.ConnectionError(), requests.Timeout()):
        assert is_network_error(error)
    for other in (OSError("disk"), ValueError(), requests.HTTPError(), KeyError()):
        assert not is_network_error(other)
    endless = ValueError()
    endless.__cause__ = endless
    assert not is_network_error(endless)


@pytest.mark.usefixtures("export_extra")
def test_an_export_without_network_ends_with_one_line_and_1(
    hub: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    monkeypatch.setattr("fastsam_export.frameworks.ultralytics_models._HOST", hub)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("a request is repeated"))
    for name in ("clip-vit-base-patch32", "segformer-b0", "yolo11n-seg"):
        assert main(["export", name]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("fastsam-trt: error: weights ")
        assert f"expected an answer of {hub}, found Connection refused; check the network" in line
    assert not list((home / "models").glob(".export*"))
