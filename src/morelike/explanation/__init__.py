"""What a trained model has learned: where its latent space leads, what it looks at, and what its samples resemble."""
