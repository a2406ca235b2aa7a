"""The compact multimodal model, tracking, occupancy, grounding and the world state."""
