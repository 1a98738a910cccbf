"""The codecs of a leg: samples to payloads and back."""
