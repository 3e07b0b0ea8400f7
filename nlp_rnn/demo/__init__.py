"""A page on which people try models: what it shows of an answer, the page, and the server of it."""
