"""What packets of every kind of leg meet: marks for routers, a bad line on request, the library that encrypts them."""
