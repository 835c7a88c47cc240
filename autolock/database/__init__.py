"""What is known of the database that an application talks to: its SQL text, its tables and their constraints.

Nothing here follows code. The modules answer questions about a text or a class by themselves, and
an answer that cannot be known is None or empty, never a guess.
"""
