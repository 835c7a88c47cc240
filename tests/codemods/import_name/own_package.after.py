import sys

sys.path.insert(0, "..")

from app.a import x
from app.b import lock
from app.c import y

from fastapi import FastAPI
