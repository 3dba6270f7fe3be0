"""From a run to a service: evaluates its network, classifies images, exports a SavedModel."""
