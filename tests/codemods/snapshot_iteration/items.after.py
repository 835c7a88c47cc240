async def report():
    for name, hits in list(counters.items()):  # all
        await send(name, hits)
