"""What can happen, a module each with ``tried(desk)``: the blows, and what came of them."""
