"""What the shop sells."""

from __future__ import annotations

import copy
from typing import Any

from shop.variant import VARIANT

Product = dict[str, Any]

CATALOGUE: dict[str, Product] = {
    "pen": {"cents": 150, "colours": ["black", "blue", "red"], "stock": {"Bonn": 12, "Kyoto": 40}},
    "paper": {"cents": 499, "colours": ["white"], "stock": {"Bonn": 90}},
    "stapler": {"cents": 1250, "colours": ["grey", "black"], "stock": {"Kyoto": 3}},
}


def product(name: str) -> Product:
    """Return what is known of a product; callers only read it."""
    if VARIANT == "deepcopy":
        return copy.deepcopy(CATALOGUE[name])  # the mistake: nobody changes it
    return CATALOGUE[name]
