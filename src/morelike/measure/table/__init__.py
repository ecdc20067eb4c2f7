"""What is measured of tables: columns, pairs of columns, rows, and what can be predicted from them."""
