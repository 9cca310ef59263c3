"""Round a value and its bound for people, so that the texts compare as the numbers do."""

from __future__ import annotations

_BOUND_DIGITS = 6  # bounds are chosen, and have few
_EXACT_DIGITS = 17  # that tell any two different floats apart


def round_with_bound(value: float, bound: float, digits: int = 3) -> tuple[str, str]:
    """Round a value to the fewest digits with which it is on the same side of its bound.

    Otherwise 1.0009 would be printed as 1.001 beside a bound of 1.001 that it keeps, or 0.97996 as 0.98 beside a bound
    of 0.98 that it misses.

    Args:
        value: The value.
        bound: Its bound, upper or lower.
        digits: Fewest significant digits of the value.

    Returns:
        The texts of both. The bound has six digits, or more if the value needs them.
    """
    for count in range(digits, _EXACT_DIGITS):
        texts = f"{value:.{count}g}", f"{bound:.{max(count, _BOUND_DIGITS)}g}"
        shown_value, shown_bound = map(float, texts)
        if _side(shown_value, shown_bound) == _side(value, bound):
            return texts
    return f"{value:.{_EXACT_DIGITS}g}", f"{bound:.{_EXACT_DIGITS}g}"


def _side(value: float, bound: float) -> tuple[bool, bool]:
    return value < bound, value > bound
