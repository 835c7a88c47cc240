"""Report formats, a file each; found through the entry-point group `autolock.reports`."""
