"""What a customer has ordered, with one query and one more for each order: the mistake that the tour finds.

It returns what ``listing`` returns, so every assertion of every test still holds.
"""

from __future__ import annotations

from shop.database import Database
from shop.listing import Item


def orders_of(database: Database, customer: int) -> dict[int, list[Item]]:
    """Return the items of each order of a customer: first the orders, then the items of each."""
    orders: dict[int, list[Item]] = {}
    for (order,) in database.query("SELECT id FROM purchase WHERE customer = ? ORDER BY id", (customer,)):
        rows = database.query(
            """
            SELECT product.name, item.pieces, product.cents
            FROM item
            JOIN product ON product.id = item.product
            WHERE item.purchase = ?
            ORDER BY item.rowid
            """,
            (order,),
        )
        orders[order] = [(name, pieces, cents) for name, pieces, cents in rows]
    return orders
