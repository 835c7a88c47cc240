"""Measurements, run by hand: how fast autolock is, and whether anything installed makes it crash."""
