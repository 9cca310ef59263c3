"""Colours for light and dark pages, with a contrast of at least 3:1, and distinct for colour-blind readers."""

from __future__ import annotations

GROUNDS = ("#ffffff", "#0d1117")
COLOURS = {
    "blue": ("#1f63bf", "#6ea0ff"),
    "orange": ("#c03400", "#e8590c"),
    "teal": ("#12a189", "#38e0c8"),
    "plum": ("#6b1f6d", "#c05ab8"),
    "gold": ("#9e913c", "#ecdf5a"),
    "brick": ("#7d2a1c", "#ffb08a"),
    "slate": ("#5a636d", "#8b949e"),
}
_NAMES = tuple(COLOURS)
_STAGES = {
    "engine": "blue", "preprocess": "orange", "clip": "teal", "decode": "plum", "select": "gold", "capture": "brick",
    "copy": "slate",
}  # fmt: skip


def colour(index: int) -> str:
    """The colour of a series by its index; colours repeat after the last one."""
    return _NAMES[index % len(_NAMES)]


def stage_colour(stage: str) -> str:
    """The colour of a stage, the same in every chart."""
    return _STAGES.get(stage, "slate")


def css() -> str:
    """CSS variables and classes of the colours; `.c-blue` and so on set `--c`."""
    light, dark = ("".join(f"--{name}:{pair[i]};" for name, pair in COLOURS.items()) for i in (0, 1))
    classes = "".join(f".c-{name}{{--c:var(--{name})}}" for name in COLOURS)
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}{classes}"
