"""The OpenAPI document of every route of the exchange, made of the routes that there are and of what is said of them."""
