"""A user's own database as a dataset: pairs checked, questions proposed, train and dev without shared queries."""
