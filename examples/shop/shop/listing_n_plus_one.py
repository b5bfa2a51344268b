"""What a customer has ordered, with one query and one more for each order: the mistake that the tour finds.

It returns what ``listing`` returns, so every assertion of every test still holds.
"""

from __future__ import annotations

from shop.database import Database, Rows


def orders_of(database: Database, customer: int) -> dict[int, Rows]:
    """Return the items (product, pieces, cents) of each order of a customer: one order at a time."""
    orders: dict[int, Rows] = {}
    for (order,) in database.query("SELECT id FROM purchase WHERE customer = ? ORDER BY id", (customer,)):
        orders[order] = database.query(
            """
            SELECT product.name, item.pieces, product.cents
            FROM item
            JOIN product ON product.id = item.product
            WHERE item.purchase = ?
            ORDER BY item.rowid
            """,
            (order,),
        )
    return orders
