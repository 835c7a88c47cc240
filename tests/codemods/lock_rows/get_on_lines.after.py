async def pay(session, user_id):
    user = await session.get(
        User,
        user_id,  # from the token
        with_for_update=True,
        populate_existing=True,
    )
