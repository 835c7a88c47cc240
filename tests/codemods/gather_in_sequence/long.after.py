async def page(session):
    rows = await session.execute(
        select(User),
        {
            "limit": 10,
        },
    )
    total = await count(session, 1)
    return rows, total
