"""MCP server: an agent reads the Ads API, and changes it in two steps that cannot be skipped."""

from spotify_ads_async.mcp.server import ads_server
from spotify_ads_async.mcp.writing import Writer

__all__ = ["Writer", "ads_server"]
