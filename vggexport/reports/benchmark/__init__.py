"""What ``vggexport benchmark`` found out: the values, and each way to show them."""
