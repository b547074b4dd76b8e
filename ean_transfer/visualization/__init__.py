"""Pictures for people: sheets, label maps, density maps, palette."""
