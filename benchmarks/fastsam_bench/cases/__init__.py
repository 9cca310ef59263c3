"""What is measured: models, frames and processes of their own."""
