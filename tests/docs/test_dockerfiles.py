"""The Dockerfiles: pinned bases, no root, no caches, extras that exist; and hadolint, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("Dockerfile", "docker/gpu.Dockerfile")


@dataclass(frozen=True)
class Instruction:
    """One instruction, and the stage that it belongs to, from 0."""

    name: str
    text: str
    stage: int


def parse(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    instructions, stage = [], -1
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            stage += name.upper() == "FROM"
            instructions.append(Instruction(name.upper(), re.sub(r"\s+", " ", rest).strip(), stage))
    return instructions


def problems(text: str, project: dict) -> list[str]:
    """What is wrong with a Dockerfile, in words."""
    instructions, found = parse(text), []
    last = max(each.stage for each in instructions)
    stages = [each.text.partition(" AS ")[2] for each in instructions if each.name == "FROM"]
    for each in instructions:
        if each.name == "FROM" and not re.match(r"\S+:\d+\.\d+\.\d+\S*($| AS \w+$)", each.text):
            found.append(f"the base {each.text} is not pinned")
        if each.name == "RUN":
            if "apt-get install" in each.text and "rm -rf /var/lib/apt/lists" not in each.text:
                found.append("apt's lists stay")
            if re.search(r"\bpip install\b", each.text) and "--no-cache" not in each.text:
                found.append("pip's cache stays")
            if each.stage == last and re.search(r"\bpip install\b|\bgcc\b|build-essential", each.text):
                found.append("build tools are in the last stage")
            for extras in re.findall(r"'\.\[([\w,-]+)\]'", each.text):
                names = set(extras.split(","))
                found += [f"no extra {name}" for name in names - set(project["optional-dependencies"])]
                if {"cpu", "gpu"} <= names:
                    found.append("cpu and gpu both bring the module onnxruntime")
        source = re.match(r"--from=(\S+)", each.text)
        if each.name == "COPY" and source and source[1] not in stages[: each.stage]:
            found.append(f"no stage {source[1]}")
    users = [each.text for each in instructions if each.name == "USER" and each.stage == last]
    if not users or users[-1].partition(":")[0] in ("root", "0"):
        found.append("it runs as root")
    if not any(each.name == "ENTRYPOINT" and each.text == '["fastsam-trt"]' for each in instructions):
        found.append("the entry point is not the command")
    return found


@pytest.fixture(scope="module")
def settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_a_dockerfile_has_no_problem(name: str, settings: dict) -> None:
    assert problems((ROOT / name).read_text(), settings["project"]) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "FROM python:3.11.13-slim-bookworm AS build",
            "FROM python AS build",
            "the base python AS build is not pinned",
        ),
        ("USER 1000", "USER root", "it runs as root"),
        ("USER 1000\n", "", "it runs as root"),
        ("pip install --no-cache-dir", "pip install", "pip's cache stays"),
        ("RUN useradd", "RUN apt-get install -y libgl1 && useradd", "apt's lists stay"),
        ("RUN useradd", "RUN pip install --no-cache-dir uv && useradd", "build tools are in the last stage"),
        (".[cpu,preview]", ".[cpu,previews]", "no extra previews"),
        (".[cpu,preview]", ".[cpu,gpu]", "cpu and gpu both bring the module onnxruntime"),
        ("--from=build", "--from=builder", "no stage builder"),
        ('["fastsam-trt"]', '["python"]', "the entry point is not the command"),
    ],
)
def test_the_checks_find_what_is_wrong(old: str, new: str, problem: str, settings: dict) -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert old in text
    assert problems(text.replace(old, new), settings["project"]) == [problem]


@pytest.mark.parametrize("name", FILES)
def test_hadolint_finds_nothing(name: str) -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed; the extra [dev] has it")
    done = subprocess.run([linter, "--no-color", str(ROOT / name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_a_dockerfile_names_reaches_the_build(name: str) -> None:
    text = " ".join(each.text for each in parse((ROOT / name).read_text()) if each.name == "RUN")
    named = re.findall(r"--(?:constraint|override|requirement) (\S+)", text)
    assert len(named) == 3
    for path in named:
        assert (ROOT / path).is_file()
        assert _is_sent(path)


def test_everything_that_the_wheel_needs_reaches_the_build(settings: dict) -> None:
    project, build = settings["project"], settings["tool"]["hatch"]
    needed = [
        *build["build"]["targets"]["wheel"]["packages"],
        build["version"]["path"],
        project["readme"],
        *project["license-files"],
        "pyproject.toml",
    ]
    assert [path for path in needed if not _is_sent(path)] == []
    assert not _is_sent("tests/conftest.py")
    assert not _is_sent(".git/config")


def _is_sent(path: str) -> bool:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    return any(rule.startswith("!") and (f"{path}/").startswith(f"{rule[1:]}/") for rule in rules)


def test_the_headless_opencv_replaces_the_usual_one_in_the_same_range(settings: dict) -> None:
    (usual,) = (each for each in settings["project"]["dependencies"] if each.startswith("opencv-python"))
    headless = (ROOT / "docker" / "headless.txt").read_text().strip()
    assert headless == usual.replace("opencv-python", "opencv-python-headless")
    rules = [line for line in (ROOT / "docker" / "overrides.txt").read_text().splitlines() if not line.startswith("#")]
    assert rules == ['opencv-python; python_version < "3"']
