"""Is ``chunk_size="auto"`` as fast as the best chunk size there is?"""
