def save(session, row):
    session.add(row)  # new

    return row
