"""Data synthesis: TSS (tool_synthesis), SDG (dialog_generation), DLV (verification) and the data set."""
