"""The emulator's HTTP side: routes, faults, quota, sign-in, the admin interface and the page."""
