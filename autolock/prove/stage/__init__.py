"""The stage: requests played through an application in one process, one step at a time.

Nothing here imports more than the standard library at its top, because it runs in the environment
of the application that is proved, where autolock is not installed. The same files are written
beside generated tests.
"""
