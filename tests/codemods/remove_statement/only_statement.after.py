def make():
    # nothing else
    pass
