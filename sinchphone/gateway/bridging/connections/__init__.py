"""What a call's caller is connected to at present: a bridge, a room, an attendant; and how they are taken away from there."""
