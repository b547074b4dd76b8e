"""What the search is measured against: ground truth, tables of scores, and speed."""
