"""What a call's sound and pictures are made of, from the options, and what becomes of them."""
