async def client():
    global _client
    if _client is None:  # the first time
        # make it
        _client = await connect()

    return _client
