"""Which names users, groups and conference rooms may have. Pure."""
