"""Settings: what all clients of a preview see and change: prompts, boxes, points and thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastsam_trt.errors import PromptError
from fastsam_trt.preview.controls import Controls, Region, check_inside

MOST_REGIONS = 32


@dataclass(frozen=True, slots=True)
class RegionChange:
    """Regions to add and to remove.

    Clients send what they add and remove, not the whole list. So two that draw at the same time keep each other's
    regions, and a change that is sent twice, because its answer was lost, is made once.
    """

    add: tuple[Region, ...] = ()
    remove: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class ThresholdChange:
    """New thresholds, 0..1; None: as it is."""

    conf: float | None = None
    threshold: float | None = None


class Settings:
    """The settings of a run. They are changed on one thread, and read on the server's."""

    def __init__(
        self,
        prompts: Callable[[], tuple[str, ...]],
        set_prompts: Callable[[Sequence[str]], None],
        controls: Controls | None,
    ) -> None:
        """Create them; see `PreviewServer`."""
        self._prompts, self._set_prompts, self._controls = prompts, set_prompts, controls
        self._version = 0

    @property
    def has_controls(self) -> bool:
        """Whether boxes, points and thresholds can be changed."""
        return self._controls is not None

    def record(self) -> dict[str, Any]:
        """The settings in JSON types.

        `version` grows with every change by a client: a record with a lower one is out of date. `regions` and
        `thresholds` are None if they can't be changed.
        """
        version, controls = self._version, self._controls
        return {
            "version": version,
            "prompts": list(self._prompts()),
            "regions": None if controls is None else [region.as_record() for region in controls.regions],
            "thresholds": None if controls is None else asdict(controls.thresholds),
        }

    def changed(self) -> None:
        """Note that a client has changed something."""
        self._version += 1

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Replace the texts.

        Raises:
            FastsamError: They can't be used.
        """
        self._set_prompts(prompts)

    def change_regions(self, change: RegionChange, frame_size: tuple[int, int] | None) -> None:
        """Add and remove boxes and points.

        Args:
            change: The change. What is there already is not added again.
            frame_size: (H, W) of the last frame, px; None: there was none.

        Raises:
            PromptError: A region has no area or lies outside the frame, or there are too many.
        """
        controls = self._controls
        assert controls is not None  # noqa: S101 - without them there is no route to here
        if change.add:
            if frame_size is None:
                raise PromptError("expected a frame to draw on, found none yet; wait for the first")
            check_inside(change.add, *frame_size)
        kept = [region for region in controls.regions if region not in change.remove]
        regions = [*kept, *(region for region in dict.fromkeys(change.add) if region not in kept)]
        if change.add and len(regions) > MOST_REGIONS:
            raise PromptError(f"expected at most {MOST_REGIONS} boxes and points, found {len(regions)}; remove some")
        controls.set_regions(regions)

    def change_thresholds(self, change: ThresholdChange) -> None:
        """Replace thresholds.

        Raises:
            OptionError: A threshold is not from 0 to 1.
        """
        assert self._controls is not None  # noqa: S101 - without them there is no route to here
        self._controls.set_thresholds(change.conf, change.threshold)
