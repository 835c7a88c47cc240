async def note(text: str, *, loud: bool = False) -> None:
    pass
