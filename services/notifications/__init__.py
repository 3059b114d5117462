"""What people are told: push notifications and mail."""
