import sys

sys.path.insert(0, "..")

from app.a import x
from app.c import y

from fastapi import FastAPI
