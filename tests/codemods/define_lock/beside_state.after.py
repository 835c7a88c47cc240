"""Shop."""

import asyncio

from fastapi import FastAPI

app = FastAPI()
stock = {}  # what there is
stock_lock = asyncio.Lock()
sold = []


@app.get("/")
async def index(): ...
