"""What the networks are made with: templates of anatomy, synthetic scans, data sets and training."""
