"""The broker as clients reach it: PubNub's REST API, and who may use which channel."""
