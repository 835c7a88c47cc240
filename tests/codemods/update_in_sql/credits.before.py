async def buy(user, price):
    # pay
    user.credits -= price  # in cents
