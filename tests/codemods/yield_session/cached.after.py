_session = SessionLocal()
async def get_session() -> AsyncIterator[AsyncSession]:
    """The session."""

    async with SessionLocal() as db:
        yield db


x = 1
