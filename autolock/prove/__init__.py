"""`autolock prove`: run the user's application, replay a race in it, and show that the fix ends it.

`stage/` is what is loaded into the application's own interpreter (the standard library only).
The other modules of this package run where autolock is installed.
"""
