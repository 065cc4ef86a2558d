"""``spotify-ads doctor``: what is wrong, first things first, each with what to do."""
