async def save(session):
    await session.commit() or await session.commit()  # twice
