async def save(session):
    await session.commit() or await session.flush()  # twice
