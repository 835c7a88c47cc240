async def page(session):
    # both at once
    rows, total = await asyncio.gather(
        users(session),
        count(session, 1),
    )  # slow
    return rows, total
