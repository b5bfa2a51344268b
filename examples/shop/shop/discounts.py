"""Discounts for large orders."""

from __future__ import annotations

import functools
from collections.abc import Callable

from shop.variant import VARIANT


def _remembered(function: Callable[[int], int]) -> Callable[[int], int]:
    """Return ``function`` with a cache; without one is the mistake."""
    return function if VARIANT == "lost_cache" else functools.cache(function)


@_remembered
def discount(pieces: int) -> int:
    """Return the discount for so many pieces of a product, in percent: it grows by ever smaller steps."""
    percent, step = 0, 10
    while pieces >= step and percent < 30:
        percent += 2
        step += step // 2
    return percent
