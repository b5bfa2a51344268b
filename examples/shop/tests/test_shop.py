from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from shop.database import Database
from shop.mailing import letters
from shop.service import Shop

ORDERS = 100
"""How many orders the one busy customer has."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    database = Database()
    yield Shop(database)
    database.close()


@pytest.fixture(scope="module")
def busy_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    database = Database(str(tmp_path_factory.mktemp("shop") / "shop.db"))
    shop = Shop(database)
    customer = shop.register("Ada")
    for number in range(ORDERS):
        shop.order(customer, {"pen": number + 1, "paper": 1})
    yield shop
    database.close()


@pytest.mark.profile
def test_register(shop: Shop) -> None:
    assert shop.register("Ada") == 1
    assert shop.register("Grace") == 2


@pytest.mark.profile(max_count={"db.insert": 3})
def test_order(shop: Shop) -> None:
    assert shop.order(1, {"pen": 2, "stapler": 1}) == 1


@pytest.mark.profile
@pytest.mark.parametrize("orders", [0, 1, 3])
def test_spent(shop: Shop, orders: int) -> None:
    customer = shop.register("Ada")
    for _ in range(orders):
        shop.order(customer, {"pen": 2})
    assert shop.spent(customer) == orders * 300


@pytest.mark.profile
def test_quote(shop: Shop) -> None:
    assert shop.quote({"pen": 10, "paper": 2, "stapler": 1}) == 3748


@pytest.mark.profile
def test_statement(busy_shop: Shop) -> None:
    assert busy_shop.statement(1).count("Order") == ORDERS


@pytest.mark.profile
def test_best_sellers(busy_shop: Shop) -> None:
    assert busy_shop.best_sellers() == ["pen", "paper"]


@pytest.mark.profile
def test_send_offer(busy_shop: Shop) -> None:
    outbox: list[str] = []
    asyncio.run(busy_shop.send_offer(outbox))
    assert outbox == ["Our best: pen, paper"]


@pytest.mark.profile(warn="durations:100%")
def test_letters() -> None:
    mail = letters(range(5_000), "our best: pen, paper")
    assert len(mail) == 4_667
    assert mail[1] == "Dear customer 2, our best: pen, paper"
