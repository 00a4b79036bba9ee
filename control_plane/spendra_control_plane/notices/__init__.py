"""What people are told: where to, who wants what, what was raised, and how it is sent."""
