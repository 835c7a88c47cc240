cache = {}


async def rates(base):
    now = clock()

    known = cache.get(base)
    if known is not None and now < known[0]:
        # still fresh
        return known[1]
    async with cache_lock:
        # What is fresh is given at once.
        known = cache.get(base)
        if known is not None and now < known[0]:
            # still fresh
            return known[1]

        answer = await fetch(base)
        # Good for a minute.
        cache[base] = (now + 60, answer)
        return answer
