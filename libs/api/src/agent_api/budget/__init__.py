"""What an agent may spend: its limits, and how the operator hands them out to the gateways of its Pods."""
