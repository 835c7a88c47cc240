async def note(session):
    pass
