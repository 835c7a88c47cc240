def note(
    text: str,
    session: Session,
):
    pass
