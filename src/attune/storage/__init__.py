"""Where DVC keeps recordings and models besides this machine: told by one command, tried before it is believed."""
