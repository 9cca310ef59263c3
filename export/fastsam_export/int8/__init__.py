"""int8 in the graph: quantisation, calibration images, and the comparison with fp32."""
