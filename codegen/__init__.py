"""From the OpenAPI document of the Ads API to ``spotify_ads_async``'s models, resources and operations."""
