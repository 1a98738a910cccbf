"""The pictures of one call, as those see them who import no picture library."""
