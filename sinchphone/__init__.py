"""sinchphone: a softphone in the terminal for Sinch In-app Calling."""
