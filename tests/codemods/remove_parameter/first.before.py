async def note(session: AsyncSession, text: str, *, loud: bool = False) -> None:
    pass
