"""SDG, self-guided dialog generation (paper Sec. 2.2): agents, dialog types, the builder."""
