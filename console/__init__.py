"""What the command line says and asks. `cli.py` puts the commands together; nothing imports this but `cli.py`."""
