"""What callers see: routes, the request from top to bottom, answers and refusals."""
