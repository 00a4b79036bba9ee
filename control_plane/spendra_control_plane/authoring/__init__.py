"""What operators write: organizations, scopes, keys, budgets, policies and provider routes."""
