a = session.scalar(select(A).with_for_update().execution_options(populate_existing=True))
