async def claim(session):
    statement = (
        select(Job)
        .where(Job.state == "open")  # nobody works on it
        .order_by(Job.id)  # the oldest first
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).first()
