"""Studies that are not part of the results: how settings were chosen, and what true labels could bring."""
