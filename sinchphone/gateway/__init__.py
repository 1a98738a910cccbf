"""The gateway: joins MXP users, SIP phones, trunks, rooms and attendants to each other."""
