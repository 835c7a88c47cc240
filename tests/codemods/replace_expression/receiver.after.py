async def transfer(pool):
    await connection.execute(
        "UPDATE a SET b = 1",  # one
        timeout=pool.timeout,
    )
