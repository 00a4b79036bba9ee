"""The data plane: everything done while a caller waits, plus settling what was reserved."""
