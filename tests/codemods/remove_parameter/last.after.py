def note(
    text: str,
):
    pass
