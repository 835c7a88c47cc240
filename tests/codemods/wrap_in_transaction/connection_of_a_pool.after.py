async def transfer(pool):
    async with pool.acquire() as connection, connection.transaction():
        # from
        await pool.execute("UPDATE a")
        await pool.execute("UPDATE b")

    return "done"
