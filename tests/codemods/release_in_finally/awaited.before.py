async def sell(item):
    # one at a time
    await stock_lock.acquire()  # waits
    left = stock[item]
    if not left:
        raise Empty

    stock[item] = left - 1
    # let go
    stock_lock.release()
    return left
