"""The U-Net, its engines and packages of trained ones. Importing this imports neither torch nor OpenVINO."""
