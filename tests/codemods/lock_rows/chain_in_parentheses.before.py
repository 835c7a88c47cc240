async def claim(session):
    statement = (
        select(Job)
        .where(Job.state == "open")  # nobody works on it
        .order_by(Job.id)  # the oldest first
    )
    return (await session.scalars(statement)).first()
