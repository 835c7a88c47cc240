def sell():
    with threading.Lock():  # for one
        stock["book"] -= 1
