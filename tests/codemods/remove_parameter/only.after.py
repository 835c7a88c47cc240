async def note():
    pass
