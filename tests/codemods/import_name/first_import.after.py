"""Shop."""

import asyncio


def sell(): ...
