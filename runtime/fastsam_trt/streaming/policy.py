"""Policies: which frames of a source go through a flow."""

from __future__ import annotations

from typing import Literal, TypeAlias

from fastsam_trt.errors import OptionError
from fastsam_trt.sources import Source

Policy: TypeAlias = Literal["auto", "latest", "every"]


def resolve_policy(policy: str, source: Source) -> Literal["latest", "every"]:
    """What a policy is for a source: `auto` is `latest` for live ones and `every` for files.

    Raises:
        OptionError: No such policy, or `latest` for images.
    """
    if policy not in ("auto", "latest", "every"):
        raise OptionError("policy", "auto, latest or every", policy)
    if policy == "latest" and source.kind == "images":
        raise OptionError("policy", "every (or auto) for images, none of which is newer than another", policy)
    return "latest" if policy == "latest" or (policy == "auto" and source.kind == "live") else "every"
