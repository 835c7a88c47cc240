"""Shop."""

from fastapi import FastAPI

app = FastAPI()
stock = {}  # what there is
sold = []


@app.get("/")
async def index(): ...
