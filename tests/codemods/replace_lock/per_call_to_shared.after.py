def sell():
    async with stock_lock:  # for one
        stock["book"] -= 1
