"""What the shop does for its customers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest_goref as goref
from shop.catalogue import CATALOGUE, product
from shop.database import Database
from shop.discounts import discount
from shop.variant import VARIANT

if VARIANT == "n_plus_one":
    from shop.listing_n_plus_one import orders_of
else:
    from shop.listing import orders_of


class Shop:
    """The order service.

    Args:
        database: where customers and orders are.

    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._products = {
            name: database.insert("INSERT INTO product (name, cents) VALUES (?, ?)", (name, sold["cents"]))
            for name, sold in CATALOGUE.items()
        }

    def register(self, name: str) -> int:
        """Return the number of a new customer."""
        return self._database.insert("INSERT INTO customer (name) VALUES (?)", (name,))

    def quote(self, pieces: Mapping[str, int]) -> int:
        """Return what so many pieces of each product would cost, in cents."""
        return sum(product(name)["cents"] * count for name, count in pieces.items())

    def order(self, customer: int, pieces: Mapping[str, int]) -> int:
        """Return the number of a new order.

        Args:
            customer: who orders.
            pieces: how many of each product.

        """
        number = self._database.insert("INSERT INTO purchase (customer) VALUES (?)", (customer,))
        for name, count in pieces.items():
            values = (number, self._products[name], count)
            self._database.insert("INSERT INTO item (purchase, product, pieces) VALUES (?, ?, ?)", values)
        return number

    def spent(self, customer: int) -> int:
        """Return how much a customer has spent, in cents."""
        ((cents,),) = self._database.query(
            """
            SELECT coalesce(sum(item.pieces * product.cents), 0)
            FROM purchase
            JOIN item ON item.purchase = purchase.id
            JOIN product ON product.id = item.product
            WHERE purchase.customer = ?
            """,
            (customer,),
        )
        return int(cents)

    def statement(self, customer: int) -> str:
        """Return the text that lists a customer's orders."""
        orders = orders_of(self._database, customer)
        with goref.ref("statement.render"):
            lines = []
            for number, items in orders.items():
                lines.append(f"Order {number}")
                for name, pieces, cents in items:
                    lines.append(f"  {pieces} x {name} at {cents / 100:.2f}, less {discount(pieces)} %")
            return "\n".join(lines)

    def best_sellers(self) -> list[str]:
        """Return the products by how many pieces were ordered."""
        rows = self._database.query(
            """
            SELECT product.name
            FROM item
            JOIN product ON product.id = item.product
            GROUP BY product.id
            ORDER BY sum(item.pieces) DESC, product.name
            """
        )
        return [name for (name,) in rows]

    @goref.track("mail.send")
    async def send_offer(self, outbox: list[str]) -> None:
        """Mail the best sellers to everybody; this small shop only puts the mail into ``outbox``."""
        outbox.append(f"Our best: {', '.join(self.best_sellers())}")
