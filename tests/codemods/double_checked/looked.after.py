async def page(name):
    # who asks twice gets the same
    found = pages.get(  # kept
        name
    )
    if found is None:
        async with pages_lock:
            found = pages.get(  # kept
                name
            )
            if found is None:
                found = await load(name)
                pages[name] = found
    return found
