import asyncio
import asyncio as _asyncio


def create_app(asyncio):
    """The application."""
    hits = {}
    hits_lock = _asyncio.Lock()
    return hits
