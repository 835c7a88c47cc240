"""Language models: which calls reach one, what bounds them, and what endpoints do with them."""
