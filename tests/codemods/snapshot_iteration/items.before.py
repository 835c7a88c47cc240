async def report():
    for name, hits in counters.items():  # all
        await send(name, hits)
