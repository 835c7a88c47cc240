async def sell(item):
    seen = True

    # is there any?
    left = stock[item]

    # guarded
    async with stock_lock:  # one at a time
        await pay()
        # paid
    stock[item] = left - 1  # sold

    return left
