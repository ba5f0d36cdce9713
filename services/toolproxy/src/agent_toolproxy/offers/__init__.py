"""What servers have beside tools: resources, templates of resources, and prompts."""
