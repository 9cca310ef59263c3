"""Downloads: interrupted ones go on, and nothing gets its name before its size and hash are right."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from fastsam_engine.errors import OutputError
from fastsam_export.hub import download
from fastsam_export.hub.download import Download
from fastsam_export.hub.pull_errors import DownloadError, HubAnswerError, HubUnreachableError, NotOnnxError
from fastsam_export.hub.repository import RemoteFile
from fastsam_export.hub.web_client import Wanted, WebClient
from support.hub_server import HubServer
from support.pulled_models import CONTENT, FILE, FILES

Fetch = Callable[..., Download]
HALF = len(CONTENT) // 2


pytestmark = pytest.mark.usefixtures("no_patience")


def _ranges(hub: HubServer) -> list[str]:
    return [headers.get("range", "") for _, path, headers in hub.requests if path.startswith("/storage/")]


def test_a_large_file_comes_from_storage_with_its_size_and_hash_checked(
    stocked: HubServer, fetch: Fetch, tmp_path: Path
) -> None:
    seen: list[int] = []
    done = fetch(seen=seen)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert done.transferred == len(CONTENT)
    assert seen[0] == 0
    assert seen[-1] == len(CONTENT)
    assert seen == sorted(seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "home"]
    assert stocked.paths(r"/resolve/") == [
        f"/some/model/resolve/{stocked.repositories['some/model'].refs['main']}/{FILE}"
    ]


def test_a_small_file_comes_from_git_and_is_checked_as_a_blob(stocked: HubServer, fetch: Fetch, tmp_path: Path) -> None:
    fetch("config.json")
    assert (tmp_path / "file").read_bytes() == FILES["config.json"]
    stocked.fault("/config.json", "content", b'{"model_type": "y"}')
    (tmp_path / "file").unlink()
    with pytest.raises(DownloadError, match=r"config.json: expected git \w{16}..., found \w{16}..."):
        fetch("config.json")
    assert not (tmp_path / "file").exists()


def test_a_whole_file_is_checked_and_not_requested_again(stocked: HubServer, fetch: Fetch, tmp_path: Path) -> None:
    fetch()
    before = len(_ranges(stocked))
    assert fetch().transferred == 0
    assert len(_ranges(stocked)) == before
    (tmp_path / "file").write_bytes(CONTENT[:-1] + b"?")
    assert fetch().transferred == len(CONTENT)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_cut_connection_is_taken_up_where_it_broke(stocked: HubServer, fetch: Fetch, tmp_path: Path) -> None:
    stocked.fault("/storage/", "cut", 100_000, times=1)
    stocked.fault("/storage/", "cut", 300_000, times=1)
    assert fetch().transferred == len(CONTENT)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert _ranges(stocked) == ["", "bytes=100000-", "bytes=300000-"]


def test_a_later_call_goes_on_with_what_an_earlier_one_left(stocked: HubServer, fetch: Fetch, tmp_path: Path) -> None:
    fault = stocked.fault("/storage/", "cut", HALF)
    with pytest.raises(HubUnreachableError, match=r"peer closed connection.*is kept: run the same command again"):
        fetch()
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:HALF]
    assert not (tmp_path / "file").exists()
    fault.times = 0
    assert fetch().transferred == len(CONTENT) - HALF
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert not (tmp_path / "file.part").exists()


def test_a_server_that_stalls_is_given_up(
    stocked: HubServer, fetch: Fetch, short_timeout: None, tmp_path: Path
) -> None:
    stocked.fault("/storage/", "stall", HALF)
    with pytest.raises(HubUnreachableError, match=r"none within 0\.3 s"):
        fetch()
    assert len(_ranges(stocked)) == 2  # the first brought half the file
    assert (tmp_path / "file.part").stat().st_size == HALF


def test_a_server_that_never_answers_is_asked_once(stocked: HubServer, fetch: Fetch, short_timeout: None) -> None:
    stocked.fault("/storage/", "silent")
    with pytest.raises(HubUnreachableError, match="none within"):
        fetch()
    assert len(_ranges(stocked)) == 1


def test_a_server_that_ignores_ranges_sends_everything_again(stocked: HubServer, fetch: Fetch, tmp_path: Path) -> None:
    stocked.fault("/storage/", "cut", HALF, times=1)
    stocked.fault("/storage/", "no-range")
    seen: list[int] = []
    fetch(seen=seen)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert seen != sorted(seen)  # it began again


def test_a_server_that_always_breaks_at_the_same_byte_is_given_up(stocked: HubServer, fetch: Fetch) -> None:
    stocked.fault("/storage/", "cut", HALF)
    with pytest.raises(HubUnreachableError):
        fetch()
    assert len(_ranges(stocked)) == 2


def test_requests_are_repeated_while_there_is_patience(
    stocked: HubServer, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_PATIENCE_S", 60.0)
    stocked.fault("/storage/", "cut", HALF, times=4)  # the second to the fourth bring nothing
    fetch()
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert _ranges(stocked) == ["", *[f"bytes={HALF}-"] * 4]


@pytest.mark.parametrize("length", [0, 1, HALF, len(CONTENT) - 1])
def test_a_file_that_is_too_short_is_refused_before_it_is_read(
    stocked: HubServer, fetch: Fetch, length: int, tmp_path: Path
) -> None:
    stocked.fault("/storage/", "short", length)
    with pytest.raises(DownloadError, match=f"expected {len(CONTENT)} bytes, found {length}"):
        fetch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


@pytest.mark.parametrize("more", [b"", b"and more"])
def test_a_file_of_another_content_is_deleted(stocked: HubServer, fetch: Fetch, more: bytes, tmp_path: Path) -> None:
    stocked.fault("/storage/", "content", CONTENT[:-8] + b"8 others" + more)
    match = r"expected sha256 \w{16}..., found \w{16}..." if not more else f"expected {len(CONTENT)} bytes, found"
    with pytest.raises(DownloadError, match=match):
        fetch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_file_without_a_length_is_stopped_at_the_size_that_the_hub_states(
    stocked: HubServer, fetch: Fetch, tmp_path: Path
) -> None:
    fault = stocked.fault("/storage/", "no-length", CONTENT * 3)
    with pytest.raises(DownloadError, match=f"expected {len(CONTENT)} bytes, found more"):
        fetch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    fault.value = None
    fetch()
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_file_that_is_compressed_on_its_way_is_unpacked(stocked: HubServer, fetch: Fetch, tmp_path: Path) -> None:
    """The hub compresses small files, even where no compression is asked for."""
    fault = stocked.fault("/config.json|/storage/", "gzip")
    fetch("config.json")
    assert (tmp_path / "file").read_bytes() == FILES["config.json"]
    fetch()
    assert (tmp_path / "file").read_bytes() == CONTENT
    (tmp_path / "file").unlink()
    fault.kind, fault.value = "no-length", CONTENT * 2
    with pytest.raises(DownloadError, match="found more"):
        fetch()


def test_a_server_that_sends_another_range_is_asked_for_everything(
    stocked: HubServer, fetch: Fetch, tmp_path: Path
) -> None:
    stocked.fault("/storage/", "cut", HALF, times=1)
    stocked.fault("/storage/", "other-range")
    fetch()
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert _ranges(stocked) == ["", f"bytes={HALF}-", ""]


def test_a_part_of_another_file_is_replaced(stocked: HubServer, fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"x" * HALF)
    fetch()
    assert (tmp_path / "file").read_bytes() == CONTENT
    (tmp_path / "file").unlink()
    (tmp_path / "file.part").write_bytes(b"x" * (len(CONTENT) + 5))
    fetch()
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04 a zip", "an archive, such as a PyTorch checkpoint"),
        (b"\x80\x02ccos\nsystem\n", "a pickle, which may execute code"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"  <!DOCTYPE html><html>", "a web page"),
        (b'{"error": "no"}', "JSON"),
        (b"\x89HDF\r\n", "an HDF5 file"),
    ],
)
def test_a_file_onnx_that_is_none_is_refused_at_its_first_bytes(
    stocked: HubServer, tmp_path: Path, content: bytes, kind: str
) -> None:
    stocked.plain["best.onnx"] = content
    remote = RemoteFile("best.onnx", f"{stocked.address}/plain/best.onnx")
    with pytest.raises(NotOnnxError, match=f"best.onnx: expected an ONNX file, found {kind}"):
        Download(WebClient(), remote, Wanted("best.onnx"), tmp_path / "best.onnx").run()
    assert not (tmp_path / "best.onnx").exists()


def test_a_web_page_in_place_of_a_file_is_told_apart_from_a_damaged_one(stocked: HubServer, fetch: Fetch) -> None:
    stocked.fault("/config.json", "html")
    with pytest.raises(HubAnswerError, match=r"found a web page \(text/html; charset=utf-8\); a proxy or a login page"):
        fetch("config.json")


def test_a_folder_that_cannot_be_written_is_named(stocked: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    remote = RemoteFile("x.onnx", f"{stocked.address}/plain/x.onnx")
    with pytest.raises(OutputError, match=r"x\.onnx: it can't be written \(.*\); make room"):
        Download(WebClient(), remote, Wanted("x"), tmp_path / "file" / "x.onnx").run()


class TestFilesWithoutAHash:
    """Files of a web server, which states a version (ETag) and perhaps a hash as it sends them."""

    @pytest.fixture
    def fetch(self, hub: HubServer, tmp_path: Path) -> Fetch:
        hub.plain["best.onnx"] = CONTENT

        def run() -> Download:
            remote = RemoteFile("best.onnx", f"{hub.address}/plain/best.onnx")
            made = Download(WebClient(), remote, Wanted("best.onnx"), tmp_path / "best.onnx")
            made.run()
            return made

        return run

    def test_the_same_version_is_taken_up_and_another_is_not(
        self, hub: HubServer, fetch: Fetch, tmp_path: Path
    ) -> None:
        fault = hub.fault("/plain/", "cut", HALF)
        with pytest.raises(HubUnreachableError):
            fetch()
        fault.times = 0
        assert fetch().transferred == len(CONTENT) - HALF
        assert fetch().transferred == 0  # asked for the rest: there is none
        hub.plain["best.onnx"] = other = CONTENT[::-1].replace(b"\xff", b"\x08", 1)
        assert fetch().transferred == len(other)
        assert (tmp_path / "best.onnx").read_bytes() == other

    def test_without_a_version_everything_comes_again(self, hub: HubServer, fetch: Fetch, tmp_path: Path) -> None:
        hub.plain_headers["ETag"] = 'W/"weak"'
        fault = hub.fault("/plain/", "cut", HALF)
        with pytest.raises(HubUnreachableError):
            fetch()
        fault.times = 0
        assert fetch().transferred == len(CONTENT)
        assert (tmp_path / "best.onnx").read_bytes() == CONTENT

    @pytest.mark.parametrize("header", ["Repr-Digest", "Content-MD5", "x-ms-blob-content-md5"])
    def test_a_hash_in_the_headers_is_checked(self, hub: HubServer, fetch: Fetch, header: str, tmp_path: Path) -> None:
        algorithm = hashlib.sha256 if header == "Repr-Digest" else hashlib.md5
        form = "sha-512=:AA==:, sha-256=:{}:" if header == "Repr-Digest" else "{}"
        for digested, is_right in ((CONTENT, True), (CONTENT[1:], False)):
            hub.plain_headers = {header: form.format(base64.b64encode(algorithm(digested).digest()).decode())}
            (tmp_path / "best.onnx").unlink(missing_ok=True)
            if is_right:
                fetch()
            else:
                with pytest.raises(DownloadError, match=r"expected (sha256|md5) \w{16}"):
                    fetch()
            assert (tmp_path / "best.onnx").exists() == is_right

    def test_a_file_beyond_all_models_is_refused(
        self, hub: HubServer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(download, "MOST_BYTES", 1000)
        with pytest.raises(DownloadError, match=f"expected 1000 bytes, found {len(CONTENT)}"):
            fetch()
        hub.fault("/plain/", "no-length")
        with pytest.raises(DownloadError, match="expected 1000 bytes, found more"):
            fetch()
        assert [path.name for path in tmp_path.iterdir()] == ["home"]
