"""The background host: a process that hosts the exchange for as long as somebody uses it, whoever started it.

::

    launch   listens, starts the process with the sockets, hears how that went      (in a command that needs an exchange)
    process  serves until it's idle, told to end, or its state folder is gone       (the process)
    settings what the one tells the other
"""
