"""The pub/sub network: a broker, and PubNub's REST protocol in front of it."""
