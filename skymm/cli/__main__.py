from skymm.cli import main

main()
