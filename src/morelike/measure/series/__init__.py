"""What is measured of series: windows of several columns over time."""
