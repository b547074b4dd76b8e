"""Studies: arms x tasks x seeds, held equal in everything but the ticket."""
