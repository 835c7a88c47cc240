async def take(session, row):
    """Take one."""

    # there must be one left
    if row.n < 1:
        raise NoneLeft
    row.n -= 1
