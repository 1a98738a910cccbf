"""What happened in calls, as it is shown to people: events, secrets as stars, a ladder, a file for Wireshark."""
