"""What is to be learnt: targets, input distributions and corruptions. X is (m, n), y is (m,) in {-1, +1}."""
