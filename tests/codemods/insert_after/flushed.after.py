def save(session, row):
    session.add(row)  # new
    session.flush()

    return row
