"""autolock finds race conditions in FastAPI applications and rewrites them."""

__version__ = "0.1.0"
