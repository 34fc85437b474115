"""Where does it run? Processes, their supervision and their waits; the only folder that imports ray."""
