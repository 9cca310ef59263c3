"""CLIP: crops, texts, their embeddings, and embeddings kept along tracks."""
