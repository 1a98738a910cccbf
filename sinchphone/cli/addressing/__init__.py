"""Who is called: what is dialled, contacts, and whom one talked with before."""
