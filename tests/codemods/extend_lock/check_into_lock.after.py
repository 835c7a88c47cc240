async def sell(item):
    seen = True

    async with stock_lock:  # one at a time
        # is there any?
        left = stock[item]

        # guarded
        await pay()
        # paid
        stock[item] = left - 1  # sold

    return left
