"""What a customer has ordered, with one query."""

from __future__ import annotations

from shop.database import Database

Item = tuple[str, int, int]
"""Product, pieces, price of one piece in cents."""


def orders_of(database: Database, customer: int) -> dict[int, list[Item]]:
    """Return the items of each order of a customer: orders and items in one join."""
    orders: dict[int, list[Item]] = {}
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
        orders.setdefault(order, []).append((item[0], item[1], item[2]))
    return orders
