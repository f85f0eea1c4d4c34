"""TSS, tool self-evolution synthesis (paper Sec. 2.1): from documents to a pool of tools."""
