"""The command line: talks to a person, and nothing else; the work is done by the floors below."""
