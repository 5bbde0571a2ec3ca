"""What somebody does first: the demo, a first configuration, a look at what is missing."""
