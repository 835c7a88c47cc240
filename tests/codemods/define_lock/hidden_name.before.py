import asyncio


def create_app(asyncio):
    """The application."""
    hits = {}
    return hits
