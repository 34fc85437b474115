"""A run as pages: charts with their meaning, and the static files that draw them."""
