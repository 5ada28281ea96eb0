"""The tests, and the helpers they share (`tests.servers`)."""
