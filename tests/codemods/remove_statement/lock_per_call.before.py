async def sell(item):
    """Sell."""

    lock = asyncio.Lock()  # for this call
    async with lock:
        stock[item] -= 1
