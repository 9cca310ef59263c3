"""Categories: category ids and names for the segments of a run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import islice

from fastsam_trt.errors import GroundTruthError
from fastsam_trt.results.coco import official_ids
from fastsam_trt.results.ground_truth import GroundTruth
from fastsam_trt.results.selected import SelectedSegments

_logger = logging.getLogger(__name__)

_UNNAMED = "object"


class Categories:
    """Category ids of a run.

    The categories are the classes of the model, whatever the prompts. If the model has no class names, they are the
    prompts, numbered in the order in which they first occur, and `object` for segments that no text prompt selected.
    """

    def __init__(self, truth: GroundTruth | None = None, *, first: int = 1, official: bool = True) -> None:
        """Create the categories.

        Args:
            truth: Annotations to take the ids from; names that it lacks get no id.
            first: The id of the first prompt.
            official: Whether COCO's 80 thing classes get their official ids; otherwise class ids are used, from 0.
        """
        self._truth = truth
        self._first = first
        self._official = official
        self._class_names: Sequence[str] | None = None
        self._prompts: tuple[str, ...] | None = None
        self._by_class: dict[int, int | None] = {}
        self._by_name: dict[str, int | None] = {}
        self._names: dict[int, str] = dict(truth.categories) if truth else {}
        self._skipped: set[str] = set()

    @property
    def names(self) -> dict[int, str]:
        """Names by id: all names of the ground truth or the model, or the prompts so far."""
        return dict(sorted(self._names.items()))

    def of(self, result: SelectedSegments) -> list[int | None]:
        """The category ids of the selected segments; None for names that the ground truth lacks, logged once per name.

        Raises:
            GroundTruthError: It has none of the model's classes, or none of the prompts.
        """
        if len(result.class_names) and result.label_of(0) is not None:
            self._learn_classes(result.class_names)
            found = [(self._by_class[class_id], result.class_names[class_id]) for class_id in result.class_ids.tolist()]
        else:
            self._learn_prompts(result.prompts)
            found = [
                (self._by_name[result.prompts[prompt_id]], result.prompts[prompt_id])
                if prompt_id >= 0
                else (self._unnamed(result.class_names), _UNNAMED)
                for prompt_id in result.prompt_ids.tolist()
            ]
        for category, name in found:
            if category is None and name not in self._skipped:
                self._skipped.add(name)
                _logger.warning("segments of %r are skipped: the annotations have no category of that name", name)
        return [category for category, _ in found]

    def _learn_classes(self, names: Sequence[str]) -> None:
        if names is self._class_names:
            return
        self._class_names = names
        if self._truth:
            self._by_class = {class_id: self._truth.category_id(name) for class_id, name in enumerate(names)}
            _check(self._truth, self._by_class.values(), "classes of the model", names)
            return
        known = official_ids(names) if self._official else None
        self._by_class = {class_id: known[class_id] if known else class_id for class_id in range(len(names))}
        self._names = {
            category: names[class_id] for class_id, category in self._by_class.items() if category is not None
        }

    def _learn_prompts(self, prompts: tuple[str, ...]) -> None:
        if prompts is self._prompts:
            return
        self._prompts = prompts
        first = not self._by_name
        found = [self._learn(prompt) for prompt in prompts]
        if self._truth and first and found:  # prompts that change later must not end the run
            _check(self._truth, found, "prompts", prompts)

    def _learn(self, name: str) -> int | None:
        if name not in self._by_name:
            number = self._truth.category_id(name) if self._truth else self._first + len(self._by_name)
            self._by_name[name] = number
            if number is not None:
                self._names.setdefault(number, name)
        return self._by_name[name]

    def _unnamed(self, class_names: Sequence[str]) -> int:
        """The category id of segments that neither the model nor a prompt names."""
        name = class_names[0] if len(class_names) else _UNNAMED
        number = self._learn(name)
        if number is None:  # the annotations have no such category, and there is no name to skip segments by
            number = next(iter(self._names)) if len(self._names) == 1 else self._first
            self._by_name[name] = number
            self._names.setdefault(number, name)
            if self._truth and len(self._truth.categories) > 1:
                _logger.warning(
                    "segments have no names and get category %d; evaluate without categories (useCats = 0)", number
                )
        return number


def _check(truth: GroundTruth, found: Iterable[int | None], what: str, names: Sequence[str]) -> None:
    if all(category is None for category in found):
        raise GroundTruthError(
            truth.path, f"a category for one of the {what} ({_shorten(names)})", _shorten(truth.categories.values())
        )


def _shorten(names: Iterable[str]) -> str:
    """The first few names."""
    first = list(islice(names, 6))
    return ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")
