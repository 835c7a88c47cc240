async def client():
    global _client
    if _client is None:  # the first time
        async with _client_lock:
            if _client is None:
                # make it
                _client = await connect()

    return _client
