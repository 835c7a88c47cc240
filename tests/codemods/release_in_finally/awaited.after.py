async def sell(item):
    # one at a time
    async with stock_lock:  # waits
        left = stock[item]
        if not left:
            raise Empty

        stock[item] = left - 1
        # let go
    return left
