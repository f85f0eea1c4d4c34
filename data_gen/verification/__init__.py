"""DLV, dual-layer verification (paper Sec. 2.3): rules first, then model experts."""
