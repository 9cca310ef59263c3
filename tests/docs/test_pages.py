"""The pages hold: links lead somewhere, commands parse, code runs, and what is generated is up to date."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastsam_trt import Result
from fastsam_trt.cli.main import main, make_parser
from support import stocked_hub
from support.doc_pages import (
    DOCS,
    EVERY_PAGE,
    PAGES,
    README,
    ROOT,
    anchors,
    blocks,
    commands,
    fastsam_commands,
    inline_code,
    languages,
    links,
    name_of,
)
from support.hub_server import HubServer
from support.layers import LAYERS, WINGS

RUN = [README, DOCS / "quickstart.md"]
RUN_PYTHON = [*RUN, DOCS / "python.md"]
OTHER_TOOLS = ("docker", "mkdocs", "mypy", "pip", "python", "ssh", "yolo")
OTHER_FLAGS = {"--cpus", "--gpus", "--only-binary", "--platform", "--system-site-packages"}
SET_UP = (
    """pip install -e '.[cpu]' && fastsam-trt run --video demo --prompt "red circle" --save out.mp4""",
    "pip install -e '.[test]' && pytest",
)

each_page = pytest.mark.parametrize("page", EVERY_PAGE, ids=name_of)


def test_the_readme_is_short_and_has_the_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    assert 6000 <= len(text.encode()) <= 8192
    for command in SET_UP:
        assert f"```bash\n{command}\n```" in text


def test_every_page_is_in_the_navigation_once() -> None:
    listed = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == [page.relative_to(DOCS).as_posix() for page in PAGES]


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


@each_page
def test_fenced_blocks_name_their_language(page: Path) -> None:
    assert all(languages(page))


@each_page
def test_commands_are_ones_that_the_parser_takes(page: Path) -> None:
    for arguments in fastsam_commands(page):
        if arguments[0] == "COMMAND":
            continue
        assert _refusal(arguments) == "", arguments


def _refusal(arguments: list[str]) -> str:
    """What the parser says against arguments; empty where it takes them."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        make_parser().parse_args(arguments)
    return said.getvalue()


@pytest.fixture(scope="module")
def flags() -> set[str]:
    """Every option of the command, as its help lists them."""
    shown = io.StringIO()
    for name in ("run", "compare", "pull", "serve", "export", "build", "bench", "info", "doctor"):
        with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            make_parser().parse_args([name, "--help"])
    return {"--version", *_flags(shown.getvalue())}


def _flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))


@each_page
def test_flags_that_are_named_exist(page: Path, flags: set[str]) -> None:
    spans = [span for span in inline_code(page) if not span.startswith(OTHER_TOOLS)]
    assert {flag for span in spans for flag in _flags(span)} - OTHER_FLAGS <= flags


@each_page
def test_python_compiles(page: Path) -> None:
    for number, block in enumerate(blocks(page, "python")):
        compile(block, f"{page.name}, block {number}", "exec")


@pytest.mark.parametrize("page", RUN_PYTHON, ids=name_of)
def test_python_runs(page: Path, work_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All blocks of a page, one after the other, on exact models."""
    code = blocks(page, "python")
    assert code
    names: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(code):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
    assert capsys.readouterr().out


def _of_blocks(page: Path) -> list[list[str]]:
    return [words[1:] for words in commands(page) if words[0] == "fastsam-trt"]


COMMANDS = [list(words) for words in dict.fromkeys(tuple(each) for page in RUN for each in _of_blocks(page))]


@pytest.mark.parametrize("arguments", [each for each in COMMANDS if each[0] not in ("export", "pull")], ids=" ".join)
def test_commands_run(arguments: list[str], work_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On exact models; a camera is a video here, a window is left out, and of the demo every tenth frame is enough."""
    given = ["clip.mp4" if word == "cam0" else word for word in arguments if word != "--show"]
    given += ["--vid-stride", "10"] if "demo" in given else []
    assert main(given) == 0, capsys.readouterr().err
    if "--save" in given:
        assert (work_folder / given[given.index("--save") + 1]).stat().st_size


def test_ready_models_are_pulled_as_the_pages_say(
    hub: HubServer, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pulled = [each for each in COMMANDS if each[0] == "pull"]
    assert ["pull", "fastsam-s"] in pulled
    for arguments in pulled:
        stocked_hub.stock(hub, arguments[1])
        assert main(arguments) == 0, capsys.readouterr().err
        assert (home / "models" / arguments[1]).is_dir()


def test_real_weights_are_exported_and_run_as_the_pages_say(
    shared: Path, export_extra: None, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but what needs CLIP, whose weights are not there."""
    for name in ("yolov8n-seg.pt", "bus.jpg"):
        found = next(shared.glob(f"*/{name}"), None)
        if found is None:
            pytest.skip(f"no {name} in {shared}")
        shutil.copyfile(found, tmp_path / name.replace("bus", "photo"))
    monkeypatch.chdir(tmp_path)
    about = [each for each in COMMANDS if "yolov8n-seg" in each or "photo.jpg" in each]
    todo = [each for each in about if "cam0" not in each and not any(" " in word for word in each)]
    assert todo[0] == ["export", "yolov8n-seg"]
    assert len(todo) > 2
    for arguments in todo:
        assert main(arguments) == 0, arguments
    assert (home / "models" / "yolov8n-seg" / "yolov8n-seg.onnx").is_file()
    assert (tmp_path / "people.png").stat().st_size


def test_the_table_of_performance_is_that_of_the_recorded_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    page = DOCS / "performance.md"
    command = next(each for each in _of_blocks(page) if "--from" in each)
    again = shutil.copyfile(page, tmp_path / page.name)
    monkeypatch.chdir(ROOT)
    redirected = {"page/": str(tmp_path / "page"), "docs/performance.md": str(again)}
    assert set(redirected) <= set(command)
    assert main([redirected.get(word, word) for word in command]) == 0, capsys.readouterr().err
    assert again.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_messages_of_troubleshooting_are_those_of_the_code() -> None:
    code = "".join(path.read_text() for wing in WINGS for path in (ROOT / wing).rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", code)  # literals that go on in the next line
    headings = re.findall(r"^### `(.*)`$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(headings) > 15
    assert [heading for heading in headings if heading not in joined] == []


def test_results_list_what_a_result_has() -> None:
    table = (DOCS / "results.md").read_text().split("Masks are decoded when")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert len(named) > 15
    assert {name for name in named if not hasattr(Result, name)} == set()


def test_architecture_lists_every_package_in_the_order_of_the_layers() -> None:
    sections = (DOCS / "architecture.md").read_text().split("\n### ")
    for wing in WINGS:
        section = next(each for each in sections if each.startswith(wing))
        listed = re.findall(r"`(\w+)/`", section.split("\n## ")[0])
        assert listed == [name for name in LAYERS[wing] if (ROOT / wing / name).is_dir()], wing


def test_a_dead_link_fails_the_build_and_the_pages_as_they_are_do_not(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        pytest.skip("the docs extra is not installed")
    for name in ("mkdocs.yml", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(DOCS, tmp_path / "docs")
    for wing in ("runtime", "engine", "export"):
        (tmp_path / wing).symlink_to(ROOT / wing)
    assert _built(tmp_path) == (0, "")
    with (tmp_path / "docs" / "glossary.md").open("a") as page:
        page.write("\n[a file](none.md) [a heading](models.md#none)\n")
    code, warnings = _built(tmp_path)
    assert code != 0
    assert "'none.md'" in warnings
    assert "'models.md#none'" in warnings


def _built(folder: Path) -> tuple[int, str]:
    """The exit code of a strict build, and its warnings."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    return done.returncode, "".join(line for line in done.stderr.splitlines(keepends=True) if "WARNING" in line)
