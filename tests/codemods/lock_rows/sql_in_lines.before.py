async def balance(connection):
    return await connection.fetchval(
        """
        SELECT balance
        FROM accounts
        WHERE id = $1;
        """,
        1,
    )
