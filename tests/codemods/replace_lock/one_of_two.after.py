async def sell():
    async with session.begin(), stock_lock as held:
        stock["book"] -= 1
