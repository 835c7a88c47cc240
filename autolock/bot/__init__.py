"""autolock as a GitHub App: webhooks in, pull requests out, what is to be done kept in a database."""
