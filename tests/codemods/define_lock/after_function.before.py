import asyncio


def first(): ...


def second(): ...
