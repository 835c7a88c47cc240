def sell(sku):
    if not stock_lock.acquire(timeout=1):
        raise Busy

    # who pays
    left = stock[sku]
    stock[sku] = left - 1
    # done
    stock_lock.release()  # for the next one

    return left
