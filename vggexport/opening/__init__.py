"""What a user names (file, directory, weights, golden answers), opened into what runs."""
