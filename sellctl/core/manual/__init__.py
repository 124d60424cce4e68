"""What a person asks for by hand: what it would do, before it is done."""
