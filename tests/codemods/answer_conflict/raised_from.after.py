from sqlalchemy.exc import IntegrityError
async def register(session, name):
    user = User(name=name)

    try:
        # the name is free
        session.add(user)
        await session.commit()  # now
    except IntegrityError as error:
        await session.rollback()
        raise HTTPException(status_code=409, detail="taken") from error

    return user
