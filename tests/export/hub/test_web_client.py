"""Requests to the hub: what it answers when something is missing, closed or broken, and who gets the token."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from fastsam_engine.errors import FastsamError
from fastsam_export.hub.pull_errors import (
    GatedModelError,
    HubAnswerError,
    HubUnreachableError,
    NotOnHubError,
    OfflineError,
    PullRequestError,
    TokenRefusedError,
)
from fastsam_export.hub.repository import Repository, list_repository
from fastsam_export.hub.web_client import Wanted, WebClient
from support.hub_server import HubServer, git_id
from support.pulled_models import CONTENT, FILE, FILES, REPOSITORY

API = "/api/models/"


def _list(revision: str = "main", repository: str = REPOSITORY) -> Repository:
    return list_repository(WebClient(), repository, revision)


def _read(path: str = FILE) -> bytes:
    client = WebClient()
    remote = _list().files[path]
    with client.stream(remote.address, Wanted(f"{REPOSITORY}:{path}", REPOSITORY, "main")) as response:
        return b"".join(response.iter_bytes())


def test_a_repository_is_listed_at_one_commit_with_sizes_and_hashes(stocked: HubServer) -> None:
    commit = stocked.repositories[REPOSITORY].refs["main"]
    stocked.repositories[REPOSITORY].refs["refs/pr/1"] = commit
    for revision in ("main", commit, "refs/pr/1"):
        found = _list(revision)
        assert (found.id, found.commit, found.licence) == (REPOSITORY, commit, "mit")
        assert found.files[FILE].size == len(CONTENT)
        assert len(found.files[FILE].sha256) == 64
        assert found.files[FILE].git_sha1 == ""
        assert found.files["config.json"].git_sha1 == git_id(FILES["config.json"])
        assert found.files[FILE].address == f"{stocked.address}/{REPOSITORY}/resolve/{commit}/{FILE}"


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ({"license": "mit"}, "mit"),
        ({"license": "other", "license_name": "nvidia", "license_link": "https://x/y"}, "nvidia, https://x/y"),
        ({"license": "other"}, "other"),
        ({"license": ["mit"]}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_the_licence_is_that_of_the_card(hub: HubServer, card: Any, licence: str) -> None:
    hub.add(REPOSITORY, {}, card=card)
    assert _list().licence == licence


def test_files_outside_of_the_repository_are_not_listed(hub: HubServer) -> None:
    names = ["../x.onnx", "/etc/x.onnx", "a//b", "a/../../b", "..\\x", "C:/x", "a/b.onnx", "new\nline", ""]
    hub.add(REPOSITORY, dict.fromkeys(names, b""))
    assert set(_list().files) == {"a/b.onnx"}


def test_the_token_goes_to_the_hub_and_not_to_its_storage(stocked: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    stocked.plain["best.onnx"] = CONTENT
    assert _read() == CONTENT
    other = f"http://localhost:{stocked.port}/plain/best.onnx"
    with WebClient().stream(other, Wanted("best.onnx")) as response:
        assert response.read() == CONTENT
    seen = {path.partition("?")[0].split("/")[1]: headers.get("authorization") for _, path, headers in stocked.requests}
    assert seen == {"api": "Bearer hf_secret", "some": "Bearer hf_secret", "storage": None, "plain": None}


@pytest.mark.parametrize("token", ["hf_\N{SNOWMAN}", "hf_\x07x"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(
    stocked: HubServer, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(TokenRefusedError) as caught:
        _list()
    assert token not in str(caught.value)


def test_what_is_missing_is_named(stocked: HubServer) -> None:
    cases = [
        (
            lambda: _list(repository="some/other"),
            r"some/other: expected it at .*/some/other, found none; check its name",
        ),
        (lambda: _list("v9"), r"revision v9: expected it at .*, found none; choose another with --revision"),
    ]
    for request, match in cases:
        with pytest.raises(NotOnHubError, match=match):
            request()
    client = WebClient()
    address = f"{client.endpoint}/{REPOSITORY}/resolve/main/none.onnx"
    with pytest.raises(NotOnHubError, match=r"none.onnx: expected it.*its files are listed at .*/tree/main") as caught:
        client.stream(address, Wanted(f"{REPOSITORY}:none.onnx", REPOSITORY, "main")).__enter__()
    assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(NotOnHubError, match=r"nothing: expected it at .*/plain/nothing, found none; check the address"):
        client.stream(f"{stocked.address}/plain/nothing?key=secret", Wanted("nothing")).__enter__()


def test_a_repository_behind_a_licence_says_where_to_accept_it(
    stocked: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stocked.repositories[REPOSITORY].gated_for = "hf_good"
    with pytest.raises(
        GatedModelError, match=f"accept it at {stocked.address}/{REPOSITORY}, and give your token in HF"
    ):
        _read()
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(GatedModelError, match=r"check that the token in HF_TOKEN may read it") as caught:
        _read()
    assert isinstance(caught.value, PermissionError)
    assert caught.value.exit_code == 2
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert _read() == CONTENT


def test_a_private_repository_is_found_with_its_token(stocked: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stocked.repositories[REPOSITORY].private_for = "hf_good"
    with pytest.raises(NotOnHubError, match="if it is private, give a token"):
        _list()
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert _list().id == REPOSITORY


def test_a_token_that_the_hub_refuses_is_said_so(stocked: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
    stocked.fault(API, "status", 401, headers=headers)
    with pytest.raises(
        TokenRefusedError, match=r"127.0.0.1:\d+: expected a valid token.*correct or unset HF_TOKEN"
    ) as caught:
        _list()
    assert "hf_old" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_hub_out_of_order_is_an_error_of_the_work_and_asked_once(stocked: HubServer, status: int) -> None:
    stocked.fault(API, "status", status, headers={"Retry-After": "7"})
    with pytest.raises(HubUnreachableError, match=f"found status {status}; .*wait 7 s, then run it again") as caught:
        _list()
    assert caught.value.exit_code == 1
    assert isinstance(caught.value, ConnectionError)
    assert len(stocked.paths(API)) == 1


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_hub_that_is_down_is_said_so(hub: HubServer, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed_port}")
    with pytest.raises(
        HubUnreachableError, match=rf"127.0.0.1:{closed_port}: .*refused.*check the network, HTTPS_PROXY"
    ):
        _list()
    monkeypatch.setattr(constants, "ENDPOINT", "http://no-such-host.invalid")
    with pytest.raises(HubUnreachableError, match=r"no-such-host\.invalid"):
        _list()


def test_a_hub_that_says_nothing_is_given_up(stocked: HubServer, short_timeout: None) -> None:
    stocked.fault(API, "silent")
    with pytest.raises(HubUnreachableError, match=r"found none within 0\.3 s"):
        _list()
    assert len(stocked.paths(API)) == 1


@pytest.mark.parametrize(
    "endpoint", ["", "hub.example", "ftp://hub.example", "http://", "http://[::1", "http://hub:port"]
)
def test_an_endpoint_that_is_no_address_is_said_so(
    hub: HubServer, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    with pytest.raises(
        FastsamError, match=r"HF_ENDPOINT: expected an address such as https://huggingface.co"
    ) as caught:
        _list()
    assert isinstance(caught.value, PullRequestError)


def test_a_web_page_instead_of_json_is_told_apart(stocked: HubServer) -> None:
    stocked.fault(API, "html")
    with pytest.raises(HubAnswerError, match=r"found a web page \(text/html; charset=utf-8\); a proxy or a login page"):
        _list()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>", b"", b"[" * 100_000, b"null", b"[]", b'{"sha": 1}', b'{"sha": "main", "siblings": []}',
        json.dumps({"sha": "0" * 40}).encode(), json.dumps({"sha": "0" * 40, "siblings": {}}).encode(),
        json.dumps({"sha": "0" * 40, "siblings": [{"rfilename": 1}]}).encode(),
        json.dumps({"sha": "0" * 40, "siblings": ["x"]}).encode(), "\ufeff{}".encode("utf-16"),
    ],
)  # fmt: skip
def test_json_that_is_no_description_is_refused(stocked: HubServer, body: bytes) -> None:
    stocked.plain["api"] = body
    stocked.fault(API, "redirect", f"{stocked.address}/plain/api")
    with pytest.raises(HubAnswerError) as caught:
        _list()
    assert len(str(caught.value)) < 500


def test_strange_sizes_and_hashes_are_taken_for_unstated(stocked: HubServer) -> None:
    siblings = [
        {"rfilename": "a", "size": -1, "blobId": "x"}, {"rfilename": "b", "size": True, "lfs": {"sha256": 5}},
        {"rfilename": "c", "size": "9", "lfs": []}, {"rfilename": "d", "size": 3.5, "blobId": None},
    ]  # fmt: skip
    stocked.plain["api"] = json.dumps({"sha": "0" * 40, "siblings": siblings, "tags": ["license:x", 5]}).encode()
    stocked.fault(API, "redirect", f"{stocked.address}/plain/api")
    found = _list()
    assert [(file.size, file.sha256, file.git_sha1) for file in found.files.values()] == [(None, "", "")] * 4
    assert found.licence == "x"


def test_a_redirect_in_a_circle_is_refused(stocked: HubServer) -> None:
    stocked.fault(API, "redirect", f"{stocked.address}{API}{REPOSITORY}/revision/main")
    with pytest.raises(HubAnswerError, match="redirect"):
        _list()


def test_a_redirect_from_an_encrypted_address_to_an_open_one_is_refused(hub: HubServer) -> None:
    url = SimpleNamespace(scheme="http")
    response = SimpleNamespace(status_code=200, headers={}, url=url)
    with pytest.raises(HubAnswerError, match="expected an encrypted connection, found a redirect to "):
        WebClient()._check(response, "https://huggingface.co/x", Wanted("x"))


def test_without_network_no_request_is_sent(stocked: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineError, match=f"{REPOSITORY}: expected its files on this machine since HF_HUB_OFFLINE"):
        _list()
    assert stocked.requests == []
