"""Small measurements, side by side; `make bench` runs them."""
