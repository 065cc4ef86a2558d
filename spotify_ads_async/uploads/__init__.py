"""Uploads: media files for ads, and customer lists for audiences."""

from __future__ import annotations

from spotify_ads_async.uploads.assets import Assets
from spotify_ads_async.uploads.audiences import AudienceFailed, Audiences, UploadedAudience
from spotify_ads_async.uploads.media import AssetFailed, Uploaded
from spotify_ads_async.uploads.progress import UploadProgress

__all__ = ["AssetFailed", "Assets", "AudienceFailed", "Audiences", "UploadProgress", "Uploaded", "UploadedAudience"]
