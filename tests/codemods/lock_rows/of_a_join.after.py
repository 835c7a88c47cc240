def load(session, order_id):
    order = session.scalar(select(Order).join(Order.user).where(Order.id == order_id).with_for_update(of=Order))  # with its user
    return order
