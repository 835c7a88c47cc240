#!/usr/bin/env python3
# Copyright.
"""Shop."""

import logging
import os
import threading
from collections.abc import Sequence

from fastapi import FastAPI

from app.store import stock
