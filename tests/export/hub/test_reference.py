"""What a user may request to pull, and what is refused before anything is requested."""

from __future__ import annotations

import pytest

from fastsam_engine.store.catalog import CATALOG
from fastsam_engine.store.ready_models import READY_MODELS
from fastsam_export.hub.pull_errors import NotOnnxError, PullRequestError
from fastsam_export.hub.reference import Reference, parse_reference, public_address

COMMIT = "d15189d7028b43f1d3e65039190477f6af591c2a"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "FastSAM-s",
            Reference("fastsam-s", "SpatialHub/fastsam-onnx", "main", "FastSAM-s.onnx"),
        ),
        ("clip-vit-base-patch32", Reference("clip-vit-base-patch32", "Xenova/clip-vit-base-patch32", COMMIT)),
        (
            "yolo26n-seg",
            Reference(
                "yolo26n-seg",
                address="https://github.com/ultralytics/assets/releases/download/v8.4.0/yolo26n-seg.onnx",
            ),
        ),
        ("onnx-community/Siglip2.base-ONNX", Reference("siglip2-base", "onnx-community/Siglip2.base-ONNX")),
        ("org/repo:a/My best.onnx", Reference("my-best", "org/repo", "main", "a/My best.onnx")),
        (
            "https://huggingface.co/org/repo/resolve/v1/onnx/model.onnx?download=true",
            Reference("model", "org/repo", "v1", "onnx/model.onnx"),
        ),
        ("https://hf.co/org/repo/blob/main/x.onnx", Reference("x", "org/repo", "main", "x.onnx")),
        ("https://huggingface.co/org/repo", Reference("repo", "org/repo")),
        ("https://huggingface.co/org/repo/tree/refs%2Fpr%2F1", Reference("repo", "org/repo", "refs/pr/1")),
        ("https://hub.example/org/repo/blob/main/x.onnx", Reference("x", "org/repo", "main", "x.onnx")),
        (
            "https://hub.example/files/x.onnx",
            Reference("x", address="https://hub.example/files/x.onnx"),
        ),
        (
            "https://other.example/a/Best%20one.ONNX?key=1",
            Reference("best-one", address="https://other.example/a/Best%20one.ONNX?key=1"),
        ),
        (
            "http://user:pass@other.example:8080/x.onnx",
            Reference("x", address="http://user:pass@other.example:8080/x.onnx"),
        ),
    ],
)
def test_names_repositories_files_and_addresses(text: str, found: Reference) -> None:
    assert parse_reference(text, hubs=("hub.example",)) == found


def test_options_choose_revision_and_name() -> None:
    found = parse_reference("fastsam-s", revision="v2", name="Mine_2")
    assert (found.name, found.revision) == ("mine_2", "v2")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("fastsam-m", "did you mean fastsam-"),
        ("nothing-like-it", "see the names with: fastsam-trt pull --help"),
        ("", "expected a known name"),
        ("best.onnx", "a local ONNX file runs as it is: fastsam-trt run --model best.onnx"),
        ("./best.onnx", "expected a known name"),
        ("/etc/passwd", "expected a known name"),
        ("../up:x.onnx", "expected a known name"),
        ("org/repo/more", "expected a known name"),
        ("org/..:x.onnx", "expected a known name"),
        ("org/repo:../x.onnx", "expected the path of a file in the repository"),
        ("org/repo:/x.onnx", "expected the path of a file in the repository"),
        ("org/repo:a/./x.onnx", "expected the path of a file in the repository"),
        ("org/repo:a\\x.onnx", "expected the path of a file in the repository"),
        ("org/repo:a\x1b[2J.onnx", "expected the path of a file in the repository"),
        ("https://huggingface.co/org/repo/resolve/main/%2e%2e/x.onnx", "expected the path of a file"),
        ("https://", "expected a known name"),
        ("https://[::1", "expected a known name"),
        ("https://host:port/x.onnx", "expected a known name"),
        ("ftp://host/x.onnx", "expected a known name"),
        ("file:///etc/x.onnx", "expected a known name"),
    ],
)
def test_what_can_not_be_pulled_is_refused(text: str, match: str) -> None:
    with pytest.raises(PullRequestError, match=match) as caught:
        parse_reference(text)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("best.pt", r"best.pt: expected an ONNX file, found a checkpoint \(.pt\); export it.*--weights best.pt"),
        ("org/repo:pytorch_model.bin", r"found a checkpoint \(.bin\)"),
        ("org/repo:model.SafeTensors", r"found a checkpoint \(.safetensors\)"),
        ("org/repo:model.pkl", r"found a checkpoint \(.pkl\)"),
        ("org/repo:model.txt", "found a name that ends in .txt"),
        ("org/repo:", "found a name that ends in no suffix"),
        ("https://host/yolov8n-seg.pt?x=y.onnx", r"found a checkpoint \(.pt\)"),
        ("https://host/model", "an address that does not end in .onnx"),
        ("https://github.com/org/repo", "give the address of the file itself"),
    ],
)
def test_other_files_than_onnx_are_refused(text: str, match: str) -> None:
    with pytest.raises(NotOnnxError, match=match):
        parse_reference(text)


@pytest.mark.parametrize("revision", ["", "..", "a/../b", "a b", "-x\n", "a//b", "/a"])
def test_a_revision_that_is_none_is_refused(revision: str) -> None:
    with pytest.raises(PullRequestError, match="revision: expected a commit, a tag or a branch"):
        parse_reference("org/repo", revision=revision)


def test_a_revision_of_a_file_without_a_repository_is_refused() -> None:
    with pytest.raises(PullRequestError, match=r"--revision: expected a repository.*'https://host/x.onnx'") as caught:
        parse_reference("https://me:secret@host/x.onnx?key=secret", revision="main")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a.b", " ", "-x", "a" * 101, "é"])
def test_a_name_that_is_no_short_name_is_refused(name: str) -> None:
    with pytest.raises(PullRequestError, match="--as: expected a name of letters, digits, - and _"):
        parse_reference("fastsam-s", name=name)


@pytest.mark.parametrize("name", sorted(CATALOG.keys() - READY_MODELS.keys()))
def test_a_published_model_without_a_known_onnx_file_names_the_export(name: str) -> None:
    with pytest.raises(PullRequestError, match=f"found none known; create it with: fastsam-trt export {name}, or name"):
        parse_reference(name)


def test_secrets_of_an_address_are_not_shown() -> None:
    assert public_address("https://me:pass@host:1/a?key=b#c") == "https://host:1/a"
    assert public_address("http://me:pass@[::1/a?key=b") == "[::1/a"


class TestTheListOfReadyModels:
    @pytest.mark.parametrize("name", READY_MODELS)
    def test_every_line_can_be_pulled(self, name: str) -> None:
        ready = READY_MODELS[name]
        assert parse_reference(name) == Reference(name, ready.repository, ready.revision, ready.file, ready.address)
        assert bool(ready.repository) != bool(ready.address)
        if ready.address:
            assert parse_reference(ready.address).address == ready.address
        else:
            shown = f"{ready.repository}:{ready.file}" if ready.file else ready.repository
            assert parse_reference(shown, revision=ready.revision).repository == ready.repository

    def test_names_that_can_be_exported_too_have_the_same_family(self) -> None:
        both = READY_MODELS.keys() & CATALOG.keys()
        assert len(both) > 20
        assert {name for name in both if READY_MODELS[name].family != CATALOG[name].family} == set()
