"""Network: addresses, proxies, certificate authorities, and the connections of one event loop."""
