"""What a customer has ordered, with one query."""

from __future__ import annotations

from shop.database import Database, Rows


def orders_of(database: Database, customer: int) -> dict[int, Rows]:
    """Return the items (product, pieces, cents) of each order of a customer: all in one join."""
    orders: dict[int, Rows] = {}
    rows = database.query(
        """
        SELECT purchase.id, product.name, item.pieces, product.cents
        FROM purchase
        JOIN item ON item.purchase = purchase.id
        JOIN product ON product.id = item.product
        WHERE purchase.customer = ?
        ORDER BY purchase.id, item.rowid
        """,
        (customer,),
    )
    for order, *item in rows:
        orders.setdefault(order, []).append(tuple(item))
    return orders
