def sell(sku):
    if not stock_lock.acquire(timeout=1):
        raise Busy

    try:
        # who pays
        left = stock[sku]
        stock[sku] = left - 1
    finally:
        # done
        stock_lock.release()  # for the next one

    return left
