def load(session, order_id):
    order = session.scalar(select(Order).join(Order.user).where(Order.id == order_id))  # with its user
    return order
