_session = SessionLocal()
@lru_cache(maxsize=1)  # one for all
def get_session() -> AsyncSession:
    """The session."""

    # made above
    return _session


x = 1
