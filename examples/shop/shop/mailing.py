"""Who gets mail."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from shop.variant import VARIANT

_UNSUBSCRIBED = range(1, 1_000, 3)

# The mistake: a list is searched from its beginning, each time.
UNSUBSCRIBED: Collection[int] = (
    list(_UNSUBSCRIBED) if VARIANT == "slow_membership" else frozenset(_UNSUBSCRIBED)
)


def wants_mail(customer: int) -> bool:
    """Return whether a customer wants mail."""
    return customer not in UNSUBSCRIBED


def letters(customers: Iterable[int], offer: str) -> list[str]:
    """Return the mail to those customers who want it."""
    return [f"Dear customer {number}, {offer}" for number in filter(wants_mail, customers)]
