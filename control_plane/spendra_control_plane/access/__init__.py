"""Who may do what: the table of roles, the people and services that hold them, and their tokens."""
