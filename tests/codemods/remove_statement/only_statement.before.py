def make():
    # nothing else
    lock = asyncio.Lock()
