"""Template tags: `callbacks` for the pages that set up callbacks, `deliveries` for all that show deliveries."""
