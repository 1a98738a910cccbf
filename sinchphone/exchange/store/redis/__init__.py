"""What several processes remember together: Redis (from 7.0 on)."""
