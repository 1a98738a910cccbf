"""SIP on the network: sockets, connections, where a message goes, and servers that want a rest."""
