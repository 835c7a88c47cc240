from sqlalchemy.exc import IntegrityError
async def register(session, name):
    user = User(name=name)

    # the name is free
    session.add(user)
    await session.commit()  # now

    return user
