"""Pure congestion control: what a path carries, learned from what the peer says of the packets sent."""
