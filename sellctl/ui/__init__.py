"""What a person reads: formatting, tables, the live screen, the HTML report."""
