"""``python -m spotify_ads_async``."""

from spotify_ads_cli import main

main()
