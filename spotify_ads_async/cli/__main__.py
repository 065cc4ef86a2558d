"""``python -m spotify_ads_async.cli``."""

from spotify_ads_async.cli import main

main()
