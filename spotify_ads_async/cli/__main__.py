"""``python -m spotify_ads_async.cli``."""

from spotify_ads_cli import main

main()
