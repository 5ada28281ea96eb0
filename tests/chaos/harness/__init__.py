"""Real processes, real servers, a shop that remembers what was acknowledged, and an oracle that compares it with the CRM."""
