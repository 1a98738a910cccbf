"""Who may come in and how much they may ask for, and where the exchange itself may be sent."""
