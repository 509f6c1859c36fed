"""Who renders, and when: the cache of image files, the render thread and the render processes."""
