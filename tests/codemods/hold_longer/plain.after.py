async def sell(seats):
    async with lock:
        name = seats.pop()
        left = stock[name]
        check(left); log(left)

        # for good
        stock[name] = left - 1
    return left
