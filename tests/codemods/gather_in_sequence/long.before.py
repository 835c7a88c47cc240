async def page(session):
    rows, total = await asyncio.gather(
        session.execute(
            select(User),
            {
                "limit": 10,
            },
        ),
        count(session, 1),
    )
    return rows, total
