"""``exchange sms``, ``users``, ``recordings`` and ``reset``: what is asked of the local exchange, and told to it, while it runs."""
