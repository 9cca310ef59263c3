"""Who may use the server: tokens, hosts, pages of other sites, and what it refuses to open."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt.errors import OptionError, ServeAddressError, TokenMissingError
from fastsam_trt.serve import AccessRules, Address, SegmentServer
from support.colour_models import scene
from support.served import PHOTO, TOKEN, Served, colours, form, serving

BEARER = f"Bearer {TOKEN}"
OTHER_SITE = "https://other.example"


@pytest.fixture
def guarded() -> Iterator[Served]:
    with serving(None, AccessRules(token=TOKEN)) as served:
        yield served


def test_the_token_is_needed_for_all_that_tells_something(guarded: Served) -> None:
    for path in ("/v1/model", "/metrics", "/nothing"):
        for given in ("", "Bearer x", f"Basic {TOKEN}", TOKEN):
            reply = guarded.get(path, **({"Authorization": given} if given else {}))
            assert reply.status == 401
            assert reply.headers["WWW-Authenticate"] == "Bearer"
            assert "expected Bearer and the token" in reply.detail
            assert TOKEN not in reply.detail
    reply = guarded.segment()
    assert reply.status == 401
    assert guarded.get("/metrics", Authorization=BEARER).status == 200
    assert guarded.get("/metrics", Authorization=f"bearer  {TOKEN} ").status == 200
    assert guarded.get("/nothing", Authorization=BEARER).status == 404
    assert guarded.post(form(PHOTO), Authorization=BEARER).status == 503  # there is no model


def test_what_tells_nothing_needs_no_token(guarded: Served) -> None:
    for path in ("/", "/page.js", "/base.css", "/healthz", "/openapi.json"):
        assert guarded.get(path).status == 200
    assert guarded.get("/readyz").status == 503
    document = guarded.get("/openapi.json").json()
    assert document["paths"]["/v1/segment"]["post"]["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}


def test_tokens_of_other_letters_are_refused_like_any_wrong_one(guarded: Served) -> None:
    client = guarded.connect(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xe4\r\n\r\n")
    with client:
        assert client.recv(4096).startswith(b"HTTP/1.1 401")


def test_without_a_token_a_name_that_is_not_ours_is_refused() -> None:
    """A page that points its own name at this address (DNS rebinding) would read the answers."""
    with serving(None) as served:
        for path in ("/", "/healthz", "/metrics", "/nothing"):
            reply = served.get(path, Host="evil.example")
            assert reply.status == 403
            assert "--allowed-host" in reply.detail
        assert served.get("/healthz", Host="localhost:1").status == 200
    with serving(None, AccessRules(hosts=("segmenter",))) as served:
        assert served.get("/healthz", Host="Segmenter:8000").status == 200
        assert served.get("/healthz", Host="evil.example").status == 403
    with serving(None, AccessRules(token=TOKEN)) as served:
        assert served.get("/metrics", Host="any.example", Authorization=BEARER).status == 200


@pytest.mark.parametrize("origin", [OTHER_SITE, "null", "http://localhost:1", "file://"])
def test_pages_of_other_sites_are_refused(origin: str) -> None:
    for rules in (AccessRules(), AccessRules(token=TOKEN), AccessRules(origins=("https://third.example",))):
        with serving(None, rules) as served:
            reply = served.post(form(PHOTO), Origin=origin, Authorization=BEARER)
            assert reply.status == 403
            assert "--cors-origin" in reply.detail
            assert "Access-Control-Allow-Origin" not in reply.headers
            assert served.get("/healthz", Origin=f"http://127.0.0.1:{served.port}").status == 200


def test_an_allowed_site_may_read_answers_and_problems() -> None:
    rules = AccessRules(token=TOKEN, origins=(OTHER_SITE,))
    with serving(None, rules) as served:
        for reply, status in (
            (served.get("/metrics", Origin=OTHER_SITE, Authorization=BEARER), 200),
            (served.get("/metrics", Origin=OTHER_SITE), 401),
            (served.post(form(PHOTO), Origin=OTHER_SITE, Authorization=BEARER), 503),
        ):
            assert reply.status == status
            assert reply.headers["Access-Control-Allow-Origin"] == OTHER_SITE
            assert reply.headers["Vary"] == "Origin"
            assert "Retry-After" in reply.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Origin" not in served.get("/healthz").headers
        assert served.get("/healthz", Origin="https://other.example.evil").status == 403


def test_browsers_ask_first_and_need_no_token_for_that() -> None:
    ask = {"Origin": OTHER_SITE, "Access-Control-Request-Method": "POST"}
    with serving(None, AccessRules(token=TOKEN, origins=(OTHER_SITE,))) as served:
        reply = served.send("OPTIONS", "/v1/segment", headers=ask)
        assert reply.status == 204
        assert reply.headers["Access-Control-Allow-Origin"] == OTHER_SITE
        assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
        assert "POST" in reply.headers["Access-Control-Allow-Methods"]
        assert served.send("OPTIONS", "/v1/segment", headers={**ask, "Origin": "https://evil.example"}).status == 403
        assert served.send("OPTIONS", "/v1/segment").status == 401
    with serving(None, AccessRules(origins=("*",))) as served:
        assert served.send("OPTIONS", "/v1/segment", headers=ask).headers["Access-Control-Allow-Origin"] == OTHER_SITE
        assert served.send("OPTIONS", "/v1/segment").status == 405


def test_headers_of_every_answer_protect_browsers() -> None:
    with serving(None) as served:
        for reply in (served.get("/"), served.get("/nothing"), served.segment()):
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 15, "with space in the token", "\u00e4" * 20, "x" * 513, "x" * 20 + "\n"]
)
def test_tokens_that_can_not_be_used(token: str) -> None:
    with pytest.raises(OptionError, match=r"token: expected 16 or more letters.*secrets\.token_urlsafe") as caught:
        AccessRules(token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "origin", ["example.com", "https://example.com/", "https://example.com/page", "ftp://x", "", "null"]
)
def test_origins_that_are_none(origin: str) -> None:
    with pytest.raises(OptionError, match=r"cors_origin: expected an origin such as https://example\.com"):
        AccessRules(origins=(origin,))


def test_other_machines_need_a_token_unless_told() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(TokenMissingError, match=r"--token-file FILE or in FASTSAM_TRT_TOKEN, .* --without-token"):
            SegmentServer(Address(host, 0))
    SegmentServer(Address("0.0.0.0", 0), AccessRules(token=TOKEN)).close()
    SegmentServer(Address("0.0.0.0", 0), without_token=True).close()


def test_a_port_in_use_is_refused() -> None:
    with serving(None) as served, pytest.raises(ServeAddressError, match=r"expected a free port.*--port PORT"):
        SegmentServer(served.server.address)


@pytest.mark.parametrize("options", [{"workers": 0}, {"max_segments": 0}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        SegmentServer(Address("127.0.0.1", 0), **options)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "aiohttp":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PackagesMissingError, match=r"expected aiohttp.*pip install 'fastsam-trt\[preview\]'"):
        SegmentServer(Address("127.0.0.1", 0))


def test_importing_it_loads_no_server() -> None:
    code = "import sys, fastsam_trt.serve; assert not {'aiohttp', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_pipeline_stays_open_for_its_owner() -> None:
    with colours() as pipeline:
        with serving(pipeline) as served:
            assert served.segment().status == 200
        assert len(pipeline.process(scene(("red", 1, 1)))) == 1
