async def transfer(pool):
    await pool.execute(
        "UPDATE a SET b = 1",  # one
        timeout=pool.timeout,
    )
