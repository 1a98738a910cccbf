"""PubNub's REST protocol, as a client speaks it."""
