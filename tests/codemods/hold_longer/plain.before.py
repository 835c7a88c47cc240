async def sell(seats):
    name = seats.pop()
    await lock.acquire()
    left = stock[name]
    check(left); log(left)
    lock.release()

    # for good
    stock[name] = left - 1
    return left
