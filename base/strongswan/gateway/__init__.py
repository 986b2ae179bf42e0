"""The gateway: owner of network namespace `strongswan`, keeper of charon and of the tunnels' interfaces."""
