async def page(session):
    # both at once
    rows = await users(session)  # slow
    total = await count(session, 1)
    return rows, total
