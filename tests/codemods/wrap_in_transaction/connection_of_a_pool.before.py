async def transfer(pool):
    # from
    await pool.execute("UPDATE a")
    await pool.execute("UPDATE b")

    return "done"
