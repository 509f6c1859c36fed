"""The renderer: the cache of image files, the render thread and the render processes."""
