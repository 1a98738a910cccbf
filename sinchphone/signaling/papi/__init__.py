"""PAPI v1, the REST dialect of Sinch's older SDKs (sinch-rtc 1.x)."""
