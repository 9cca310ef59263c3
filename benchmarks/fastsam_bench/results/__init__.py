"""Files of results: their records, reading, writing and comparing."""
