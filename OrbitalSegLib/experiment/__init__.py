"""What an experiment is made on by default, and the page that it makes."""
