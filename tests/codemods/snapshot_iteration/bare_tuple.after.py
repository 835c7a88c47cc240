def report():
    for part in tuple((first, *rest)): send(part)
