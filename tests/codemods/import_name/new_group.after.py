"""Shop."""

from __future__ import annotations

from fastapi import FastAPI

from .store import stock_lock

app = FastAPI()
