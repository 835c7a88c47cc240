def report():
    for part in first, *rest: send(part)
