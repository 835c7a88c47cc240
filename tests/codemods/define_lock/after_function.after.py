import asyncio


def first(): ...


lock = asyncio.Lock()


def second(): ...
