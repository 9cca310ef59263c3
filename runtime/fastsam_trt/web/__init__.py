"""What web servers share: addresses, connections, checks of origins, threads, and parts of pages."""
