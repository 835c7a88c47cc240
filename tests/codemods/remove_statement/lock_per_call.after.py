async def sell(item):
    """Sell."""

    async with lock:
        stock[item] -= 1
