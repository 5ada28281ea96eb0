"""Pure translation between each system's words and the common language: no network, no clock, no database."""
