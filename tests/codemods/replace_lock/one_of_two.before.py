async def sell():
    async with session.begin(), asyncio.Lock() as held:
        stock["book"] -= 1
