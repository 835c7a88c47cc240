async def buy(user, price):
    # pay
    user.credits = User.credits - price  # in cents
