"""What everything else stands on: no network, no database, no vendor vocabulary."""
