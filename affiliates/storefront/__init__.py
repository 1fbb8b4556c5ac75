"""The script that a shop has in its pages, so that an order knows the link that its customer came through."""
