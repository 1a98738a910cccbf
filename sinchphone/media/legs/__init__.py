"""One leg of a call: what every leg shares between its network and its sound, each way."""
