"""Services of Sinch beside calls, each with an API of its own: SMS, and verification of phone numbers."""
