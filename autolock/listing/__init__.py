"""What each route of an application works on: `autolock routes`."""
