"""An asyncio client for the Spotify Ads API with a rate governor that never exceeds a window."""
