a = session.scalar(select(A).with_for_update())
