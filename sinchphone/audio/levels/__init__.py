"""How loud sound is, and what follows from it: who speaks, whose turn it is, how much louder it is made, whether a machine answers."""
