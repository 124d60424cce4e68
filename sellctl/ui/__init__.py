"""Output for people and programs: formatting, tables, JSON documents, the live screen, the HTML report."""
