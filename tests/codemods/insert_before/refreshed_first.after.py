async def take(session, row):
    """Take one."""

    await session.refresh(row, attribute_names=["n"], with_for_update=True)
    # there must be one left
    if row.n < 1:
        raise NoneLeft
    row.n -= 1
