from exosp.cli import main

main()
